/* publish: events at fixed times, in turn over the connections, each with its number and its time in it. */

#include "drive.h"

#include <string.h>

enum { LATE_NS = 10000000, FRAME = 1 << 16 };

static double per_second;
static uint64_t start_ns, due_count;

void begin_publishing(uint64_t now, double rate) {
    per_second = rate;
    start_ns = now;
    due_count = 0;
}

static void put_digits(uint8_t *p, int size, uint64_t value) {
    while (size) p[--size] = '0' + value % 10, value /= 10;
}

static void publish_one(uint64_t due, uint64_t now) {
    struct conn *c = &conns[counters.sent % count];
    const struct how *h = how_of(c);
    static uint8_t frame[FRAME];
    if (h->r.template > sizeof frame) die("a template too long");
    memcpy(frame, h->template, h->r.template);
    put_digits(frame + h->r.offset + 6, 10, ++c->number);
    put_digits(frame + h->r.offset + 17, 19, due);
    set_newest(h->r.first, c->number); /* first the board: a viewer must not have what is not on it */
    if (c->state == READY) write_out(c, frame, h->r.template);
    if (now - due > LATE_NS) counters.late++;
    counters.sent++;
}

uint64_t next_due(void) { return start_ns + (uint64_t)(due_count * (1e9 / per_second)); }

void publish_due(void) {
    uint64_t now = now_ns();
    for (uint64_t due; going && (due = next_due()) <= now; now = now_ns()) {
        if (due >= stop_ns) {
            going = 0;
            return;
        }
        publish_one(due, now);
        due_count++;
    }
}
