/* viewers: events are found by their marker, wherever it stands, and each publisher's numbers are checked. */

#define _GNU_SOURCE
#include "drive.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MAX_PUBLISHERS = 1024, /* slots of the board */
    REMEMBERED = 1024,     /* numbers of a publisher, up to its newest, of which a viewer knows which it has seen */
    MARKER = 37
};

uint64_t sample = 1, live_count, live_ns;
int replays;

static uint64_t *board;

/* ---- the board: the newest number of each publisher ---- */

void map_board(const char *path) {
    size_t size = MAX_PUBLISHERS * sizeof *board;
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, size)) die(path);
    board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED) die(path);
    close(fd);
    for (int i = 0; i < count; i++) {
        const struct record *r = &spec.hows[i].r;
        if (r->first + r->publishers > MAX_PUBLISHERS) die("a publisher out of bounds");
        conns[i].last = allocate((1 + REMEMBERED / 64) * r->publishers, sizeof(uint64_t));
        conns[i].seen = conns[i].last + r->publishers;
    }
}

static uint64_t newest(uint32_t publisher) { return __atomic_load_n(&board[publisher], __ATOMIC_ACQUIRE); }

void set_newest(uint32_t publisher, uint64_t number) { __atomic_store_n(&board[publisher], number, __ATOMIC_RELEASE); }

uint64_t count_missing(void) {
    uint64_t missing = 0;
    for (int i = 0; i < count; i++)
        for (uint32_t p = 0; p < spec.hows[i].r.publishers; p++) {
            uint64_t most = newest(spec.hows[i].r.first + p);
            if (most > conns[i].last[p]) missing += most - conns[i].last[p];
        }
    return missing;
}

uint64_t count_published(void) {
    uint64_t published = 0;
    for (int p = 0; p < MAX_PUBLISHERS; p++) published += newest(p);
    return published;
}

/* ---- after a return ---- */

static void is_live(struct conn *c) {
    c->live = 1;
    live_count++;
    live_ns = now_ns();
}

/* Whether it has everything up to the newest event; for a peer without replay the caller has seen one. */
void check_live(struct conn *c, int got_event) {
    const struct how *h = how_of(c);
    if (c->live || !returned_ns || c->state != READY) return;
    if (!replays) {
        if (got_event) is_live(c);
        return;
    }
    for (uint32_t p = 0; p < h->r.publishers; p++)
        if (c->last[p] < newest(h->r.first + p)) return;
    is_live(c);
}

/* ---- markers ---- */

static int parse_digits(const uint8_t *p, int size, uint64_t *value) {
    uint64_t sum = 0;
    for (int i = 0; i < size; i++) {
        unsigned digit = p[i] - '0';
        if (digit > 9) return 0;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return 1;
}

static void check_number(struct conn *c, uint32_t p, uint64_t number) {
    uint64_t last = c->last[p], *seen = c->seen + p * (REMEMBERED / 64);
    uint64_t *word = &seen[number % REMEMBERED / 64], bit = 1ull << number % 64;
    if (number > last) {
        for (uint64_t skipped = last + 1; skipped < number && skipped - last <= REMEMBERED; skipped++)
            seen[skipped % REMEMBERED / 64] &= ~(1ull << skipped % 64);
        if (number > last + 1) {
            counters.lost += number - last - 1;
            c->lossy = 1;
        }
        *word |= bit;
        c->last[p] = number;
    } else if (last - number < REMEMBERED && !(*word & bit)) {
        *word |= bit; /* it was not lost, it is late */
        counters.lost--;
        counters.disordered++;
    } else
        counters.repeated++;
}

/* One whole marker at p; 0 if it is none. */
static int take_marker(struct conn *c, const struct how *h, const uint8_t *p, uint64_t now) {
    uint64_t publisher, number, due;
    if (p[5] != ':' || p[16] != '@' || p[36] != '.') return 0;
    if (!parse_digits(p + 1, 4, &publisher) || !parse_digits(p + 6, 10, &number)) return 0;
    if (publisher - h->r.first >= h->r.publishers) {
        counters.stray++;
        return 1;
    }
    counters.events++;
    check_number(c, publisher - h->r.first, number);
    if (counters.events % sample == 0 && parse_digits(p + 17, 19, &due)) record_latency((int64_t)(now - due));
    return 1;
}

/* Returns where the first marker stands that has not fully arrived; the end if there is none. */
uint8_t *scan_markers(struct conn *c, uint8_t *from, uint8_t *end, uint64_t now) {
    const struct how *h = how_of(c);
    uint64_t before = counters.events;
    while ((from = memchr(from, '#', end - from)) && end - from >= MARKER)
        from += take_marker(c, h, from, now) ? MARKER : 1;
    if (returned_ns && !c->live) check_live(c, counters.events > before);
    return from ? from : end;
}
