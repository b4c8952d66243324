/* Frames, as they arrive: their heads, what must be answered, and their payloads for the mode to look at. */

#define _GNU_SOURCE
#include "drive.h"

#include <string.h>

/* Payload bytes. What was kept of those before them is put right before them: the bytes there are used up. */
static void take_payload(struct conn *c, uint8_t *data, size_t size, uint64_t now) {
    const struct how *h = how_of(c);
    uint8_t *start = data - c->tails, *end = data + size, *rest = end;
    memcpy(start, c->tail, c->tails);
    uint8_t *from = start + c->fresh;
    size_t keep = 0;
    if (mode == WATCH) look_at(c, data, size);
    if (mode == VIEWERS) rest = scan_markers(c, from, end, now);
    if (mode == GIFTS) rest = scan_replies(c, from, end, now);
    if (c->state == ENTERING) {
        if (memmem(start, end - start, h->ready, h->r.ready)) is_ready(c);
        else keep = h->r.ready - 1;
    }
    if (keep > (size_t)(end - start)) keep = end - start;
    if (keep < (size_t)(end - rest)) keep = end - rest;
    memcpy(c->tail, end - keep, keep);
    c->tails = keep;
    c->fresh = keep - (end - rest);
}

static void frame_begins(struct conn *c) {
    int kind = c->head[1] & 127, extra = kind == 126 ? 2 : kind == 127 ? 8 : 0;
    c->opcode = c->head[0] & 15;
    c->left = extra ? 0 : kind;
    for (int i = 0; i < extra; i++) c->left = c->left << 8 | c->head[2 + i];
    c->controls = 0;
    c->gather = c->opcode >= 8 || (spec.header.ping && c->left == spec.header.ping);
}

void frame_ends(struct conn *c) {
    uint8_t pong[6 + CONTROL] = {0x8A, 0x80 | c->controls, 0, 0, 0, 0};
    c->have = 0;
    if (c->opcode == 9) {
        memcpy(pong + 6, c->control, c->controls);
        write_out(c, pong, 6 + c->controls);
    } else if (c->opcode == 8 && c->controls >= 2)
        close_code = c->control[0] << 8 | c->control[1];
    else if (c->opcode < 8 && c->gather && !memcmp(c->control, spec.ping, spec.header.ping))
        write_out(c, spec.pong, spec.header.pong);
    if (c->opcode >= 8) return;
    counters.frames++;
    if (mode == WATCH) count_events(c);
}

static int head_size(const struct conn *c) {
    int kind = c->have < 2 ? 0 : c->head[1] & 127;
    return kind == 126 ? 4 : kind == 127 ? 10 : 2;
}

void take_frames(struct conn *c, uint8_t *data, size_t size, uint64_t now) {
    while (size) {
        if (c->have < head_size(c)) {
            c->head[c->have++] = *data++;
            size--;
            if (c->have < head_size(c)) continue;
            frame_begins(c);
            if (!c->left) frame_ends(c);
            continue;
        }
        size_t part = size < c->left ? size : c->left;
        if (c->gather && c->controls + part <= CONTROL) {
            memcpy(c->control + c->controls, data, part);
            c->controls += part;
        }
        if (c->opcode < 8) take_payload(c, data, part, now);
        data += part;
        size -= part;
        c->left -= part;
        if (!c->left) frame_ends(c);
    }
}
