/* watch: viewers of this server at a fraction of the CPU, so that the machine is left to the server.
 *
 * Of a frame only the head is read: the seq and the number of events, so that missing ones are seen (`lost`; lane `all`)
 * and seqs that fall (`disordered`). What is left of a large frame is discarded inside the kernel. */

#define _GNU_SOURCE
#include "drive.h"

#include <string.h>

enum {
    DISCARD_FROM = 32768, /* bytes from which the rest of a frame is discarded without copying */
    MARGIN = 16           /* of the peek, that numbers may be read beyond what has arrived */
};

void look_at(struct conn *c, const uint8_t *data, size_t size) {
    size_t room = PEEK - MARGIN - c->peeked, part = size < room ? size : room;
    memcpy(c->peek + c->peeked, data, part);
    c->peeked += part;
}

/* A msgpack unsigned integer, or the length of an array, big-endian after its type byte. */
static uint64_t number(const uint8_t *p) {
    int size = 0;
    uint64_t value = 0;
    if (*p < 0x80) return *p;
    if (*p >= 0x90 && *p < 0xa0) return *p & 15;
    if (*p >= 0xcc && *p <= 0xcf) size = 1 << (*p - 0xcc);
    if (*p == 0xdc || *p == 0xdd) size = *p == 0xdc ? 2 : 4;
    for (int i = 1; i <= size; i++) value = value << 8 | p[i];
    return value;
}

void count_events(struct conn *c) {
    const uint8_t *seq = memmem(c->peek, c->peeked, "\xa3seq", 4);
    const uint8_t *events = memmem(c->peek, c->peeked, "\xa6" "events", 7);
    c->peeked = 0;
    if (!seq || !events) return; /* a reply */
    uint64_t last = number(seq + 4), some = number(events + 7);
    counters.events += some;
    if (c->number && last < c->number) counters.disordered++;
    if (c->number && last > c->number + some) counters.lost += last - c->number - some;
    c->number = last;
}

int can_discard(const struct conn *c) { return c->left >= DISCARD_FROM && c->peeked && !c->gather; }
