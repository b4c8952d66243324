/* gifts: each connection keeps so many in flight, each with a key of its own; replies are taken in order. */

#define _GNU_SOURCE
#include "drive.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { KEY = 36, FRAMES = 1 << 18 };

uint64_t in_flight = 1;

static uint64_t random_state;

void seed_keys(void) {
    if (getrandom(&random_state, sizeof random_state, 0) != sizeof random_state || !random_state) die("getrandom");
}

static uint64_t next_random(void) { /* xorshift64*; keys must be unique, not secret */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717ull;
}

/* A UUIDv7. */
static void put_key(uint8_t *p) {
    struct timespec t;
    char text[KEY + 1];
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t ms = (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000, a = next_random(), b = next_random();
    snprintf(text, sizeof text, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff),
             (unsigned)(a & 0xfff), (unsigned)(0x8000 | (a >> 16 & 0x3fff)), U(b & 0xffffffffffffull));
    memcpy(p, text, KEY);
}

void refill(struct conn *c) {
    static uint8_t frames[FRAMES];
    const struct how *h = how_of(c);
    size_t size = 0;
    uint64_t now = now_ns();
    while (c->issued - c->answered < in_flight && size + h->r.template <= sizeof frames) {
        memcpy(frames + size, h->template, h->r.template);
        put_key(frames + size + h->r.offset);
        size += h->r.template;
        c->sent_at[c->issued++ % in_flight] = now;
        counters.sent++;
    }
    if (size) write_out(c, frames, size);
}

static void answered(struct conn *c, int ok, uint64_t now) {
    if (c->answered == c->issued) return; /* a reply to something else */
    record_latency((int64_t)(now - c->sent_at[c->answered++ % in_flight]));
    if (ok) counters.accepted++;
    else counters.refused++;
}

/* Returns where the first needle stands that has not fully arrived; the end if there is none. */
uint8_t *scan_replies(struct conn *c, uint8_t *from, uint8_t *end, uint64_t now) {
    size_t size = spec.header.needle;
    uint8_t *found;
    while ((found = memmem(from, end - from, spec.needle, size)) && found + size < end) {
        from = found + size;
        if (c->state == READY) answered(c, *from == *spec.yes, now);
    }
    if (found) return found;
    return (size_t)(end - from) < size ? from : end - (size - 1);
}
