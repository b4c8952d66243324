/* The load of `python -m benchmarks.compare`: WebSocket connections that know nobody's protocol.
 *
 *   drive viewers SPEC BOARD SAMPLE REPLAYS   count and check the events that arrive
 *   drive publish SPEC BOARD                  send events at fixed times
 *   drive gifts   SPEC IN_FLIGHT              send gifts, each with a key of its own, and wait for the replies
 *
 * SPEC (little-endian, written by driver.py) says how each connection is opened: the upgrade request, the frames sent
 * once it is agreed to, and the bytes that mean that it is in. Events are found by their marker (marker.py), wherever
 * it stands in what arrives. BOARD is a file that publishers and viewers share: the newest number of each publisher.
 * One latency in SAMPLE is recorded; numbers are always checked. REPLAYS is 1 for a peer that gives a viewer that comes
 * back what it missed.
 *
 * Commands, one a line, on stdin; its end hangs up.
 *   ?               print the counters as one JSON line
 *   drop            viewers: hang up, all at once
 *   return SPEC     viewers: open all again, as this SPEC says
 *   go RATE SECONDS publish: RATE events per second in all, in turn over the connections; gifts: RATE is ignored
 *   stop            publish, gifts: no more
 *
 * Build: cc -O2 -o drive drive.c. Linux. Exit code 1: could not run, with the reason on stderr. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_PUBLISHERS = 1024, /* slots of the board */
    REMEMBERED = 1024, /* numbers of a publisher, up to its newest, of which a viewer knows whether it has seen them */
    MARKER = 37,
    KEY = 36,
    TAIL = 64, /* payload bytes kept for what may straddle two reads */
    CONTROL = 125,
    READ_SIZE = 1 << 17,
    EVENTS = 512,
    RETRY_NS = 100000000,
    LATE_NS = 10000000,
    EXACT = 128, /* microseconds below which the histogram is exact; above: 64 steps per doubling */
    STEPS = 64,
    CELLS = EXACT + STEPS * 24,
    STDIN_INDEX = -1
};

enum state { IDLE, CONNECTING, UPGRADING, ENTERING, READY, GONE };
enum mode { VIEWERS, PUBLISH, GIFTS };

/* The file's layout: a header and its four byte strings, then records, each followed by its four. */
struct header {
    uint32_t connections, port, at_once, ping, pong, needle, yes;
};
struct record {
    uint32_t first, publishers, offset, request, after, ready, template;
};

struct how {
    struct record r;
    const uint8_t *request, *after, *ready, *template;
};

struct conn {
    int fd;
    enum state state;
    int matched;     /* of the blank line that ends the answer to the upgrade */
    uint8_t head[10]; /* of a frame, as far as it has arrived */
    int have, opcode;
    uint64_t left; /* payload bytes of the current frame still to come */
    int gather;    /* whether its payload is wanted whole */
    int controls;
    uint8_t control[CONTROL + 3];
    uint8_t tail[TAIL];
    int tails, fresh; /* of the tail, where it has not been scanned yet */
    uint64_t retry_at;
    int live, lossy;       /* since it came back */
    uint64_t *last, *seen; /* per publisher: newest number, and a ring of bits for the REMEMBERED up to it */
    uint8_t *out;          /* what the kernel did not take yet */
    size_t out_size, out_room;
    uint64_t *sent_at; /* gifts: ring of intended send times */
    uint32_t issued, answered;
    uint64_t number; /* publish: of the last event */
};

static enum mode mode;
static struct header header;
static const uint8_t *ping_payload, *pong_frame, *needle, *yes;
static struct how *hows;
static struct conn *conns;
static int count, loop, opening, next_to_open, retrying, away;
static uint64_t *board;
static int replays;
static uint64_t sample = 1, in_flight = 1;
static uint8_t space[TAIL + READ_SIZE], *const buffer = space + TAIL;

static uint64_t received_bytes, events_seen, lost, repeated, fallen, stray, gone, retries, live_count, live_ns,
    returned_ns, sent, late, queued, accepted, refused;
static uint64_t histogram[CELLS];
static char failure[128];
static int close_code;

static int going;
static double rate;
static uint64_t start_ns, stop_ns, due_count;

static void die(const char *what) {
    fprintf(stderr, "drive: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static double cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void *allocate(size_t items, size_t size) {
    void *memory = calloc(items ? items : 1, size);
    if (!memory) die("memory");
    return memory;
}

/* ---- histogram ---- */

static void record_latency(int64_t ns) {
    uint64_t us = ns > 0 ? ns / 1000 : 0;
    size_t cell = us;
    if (us >= EXACT) {
        int doubling = 63 - __builtin_clzll(us);
        cell = EXACT + (doubling - 7) * STEPS + ((us >> (doubling - 6)) & (STEPS - 1));
    }
    histogram[cell < CELLS ? cell : CELLS - 1]++;
}

/* The middle of a cell, in microseconds. */
static double cell_us(size_t cell) {
    if (cell < EXACT) return cell + 0.5;
    int doubling = 7 + (cell - EXACT) / STEPS;
    double step = (double)(1ull << (doubling - 6));
    return (1ull << doubling) + ((cell - EXACT) % STEPS + 0.5) * step;
}

/* ---- the spec ---- */

static const uint8_t *take_bytes(const uint8_t **at, size_t size) {
    const uint8_t *here = *at;
    *at += size;
    return here;
}

static void load_spec(const char *path) {
    struct stat info;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &info)) die(path);
    const uint8_t *at = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) die(path);
    close(fd);
    const uint8_t *end = at + info.st_size;
    memcpy(&header, take_bytes(&at, sizeof header), sizeof header);
    if (hows && (int)header.connections != count) die("another number of connections");
    count = header.connections;
    ping_payload = take_bytes(&at, header.ping);
    pong_frame = take_bytes(&at, header.pong);
    needle = take_bytes(&at, header.needle);
    yes = take_bytes(&at, header.yes);
    free(hows);
    hows = allocate(count, sizeof *hows);
    for (int i = 0; i < count; i++) {
        struct how *h = &hows[i];
        memcpy(&h->r, take_bytes(&at, sizeof h->r), sizeof h->r);
        h->request = take_bytes(&at, h->r.request);
        h->after = take_bytes(&at, h->r.after);
        h->ready = take_bytes(&at, h->r.ready);
        h->template = take_bytes(&at, h->r.template);
        if (h->r.ready > TAIL || h->r.first + h->r.publishers > MAX_PUBLISHERS) die("a record out of bounds");
    }
    if (at != end) die("a spec of another size");
}

static void map_board(const char *path) {
    size_t size = MAX_PUBLISHERS * sizeof *board;
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, size)) die(path);
    board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED) die(path);
    close(fd);
}

static uint64_t newest(uint32_t publisher) { return __atomic_load_n(&board[publisher], __ATOMIC_ACQUIRE); }

/* ---- connections ---- */

static void watch(struct conn *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = c - conns};
    if (epoll_ctl(loop, operation, c->fd, &event)) die("epoll_ctl");
}

/* What the kernel does not take now goes out when it can. */
static void write_out(struct conn *c, const void *data, size_t size) {
    size_t done = 0;
    if (!c->out_size) {
        ssize_t n = send(c->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return; /* the read will tell */
        done = n > 0 ? n : 0;
    }
    if (done == size) return;
    size_t rest = size - done;
    if (c->out_size + rest > c->out_room) {
        c->out_room = 2 * (c->out_size + rest);
        if (!(c->out = realloc(c->out, c->out_room))) die("memory");
    }
    memcpy(c->out + c->out_size, (const uint8_t *)data + done, rest);
    if (!c->out_size) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    c->out_size += rest;
    queued += rest;
}

static void write_more(struct conn *c) {
    ssize_t n = send(c->fd, c->out, c->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) return;
    memmove(c->out, c->out + n, c->out_size - n);
    c->out_size -= n;
    queued -= n;
    if (!c->out_size) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void hang_up(struct conn *c) {
    if (c->fd >= 0) close(c->fd);
    queued -= c->out_size;
    c->fd = -1;
    c->out_size = 0;
}

static void note_failure(const char *what, const void *detail, size_t size) {
    if (*failure) return;
    int used = snprintf(failure, sizeof failure, "%s ", what);
    for (size_t i = 0; i < size && used < (int)sizeof failure - 1; i++) {
        uint8_t byte = ((const uint8_t *)detail)[i];
        if (byte == '\r') break;
        failure[used++] = byte < ' ' || byte > '~' || byte == '"' || byte == '\\' ? '?' : byte;
    }
}

/* It ended, or could not be opened. Those that come back try again; the first time it is an error. */
static void ended(struct conn *c, const char *what, const void *detail, size_t size) {
    if (c->state == CONNECTING || c->state == UPGRADING || c->state == ENTERING) opening--;
    hang_up(c);
    note_failure(what, detail, size);
    if (returned_ns && c->state != READY) {
        c->state = IDLE;
        c->retry_at = now_ns() + RETRY_NS;
        retrying++;
        retries++;
        return;
    }
    c->state = GONE;
    gone++;
}

static void start_open(struct conn *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(header.port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTING;
    c->matched = c->have = c->controls = c->tails = c->fresh = c->gather = 0;
    c->left = 0;
    opening++;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        ended(c, "connect:", strerror(errno), strlen(strerror(errno)));
        return;
    }
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void open_more(void) {
    uint64_t now = retrying ? now_ns() : 0;
    for (int i = 0; retrying && i < count && opening < (int)header.at_once; i++)
        if (conns[i].retry_at && conns[i].retry_at <= now) {
            conns[i].retry_at = 0;
            retrying--;
            start_open(&conns[i]);
        }
    while (!away && next_to_open < count && opening < (int)header.at_once) start_open(&conns[next_to_open++]);
}

static void connected(struct conn *c, int index) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        ended(c, "connect:", strerror(error), strlen(strerror(error)));
        return;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->state = UPGRADING;
    write_out(c, hows[index].request, hows[index].r.request);
}

static void is_live(struct conn *c) {
    c->live = 1;
    live_count++;
    live_ns = now_ns();
}

/* Whether it has everything up to the newest event; for a peer without replay the caller has seen one. */
static void check_live(struct conn *c, const struct how *h, int got_event) {
    if (c->live || !returned_ns || c->state != READY) return;
    if (!replays) {
        if (got_event) is_live(c);
        return;
    }
    for (uint32_t p = 0; p < h->r.publishers; p++)
        if (c->last[p] < newest(h->r.first + p)) return;
    is_live(c);
}

static void is_ready(struct conn *c) {
    c->state = READY;
    opening--;
    check_live(c, &hows[c - conns], 0);
}

/* ---- what arrives ---- */

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
            lost += number - last - 1;
            c->lossy = 1;
        }
        *word |= bit;
        c->last[p] = number;
    } else if (last - number < REMEMBERED && !(*word & bit)) {
        *word |= bit; /* it was not lost, it is late */
        lost--;
        fallen++;
    } else
        repeated++;
}

/* One whole marker at p; 0 if it is none. */
static int take_marker(struct conn *c, const struct how *h, const uint8_t *p, uint64_t now) {
    uint64_t publisher, number, due;
    if (p[5] != ':' || p[16] != '@' || p[36] != '.') return 0;
    if (!parse_digits(p + 1, 4, &publisher) || !parse_digits(p + 6, 10, &number)) return 0;
    if (publisher - h->r.first >= h->r.publishers) {
        stray++;
        return 1;
    }
    events_seen++;
    check_number(c, publisher - h->r.first, number);
    if (events_seen % sample == 0 && parse_digits(p + 17, 19, &due)) record_latency((int64_t)(now - due));
    return 1;
}

/* Returns where the first marker stands that has not fully arrived; the end if there is none. */
static uint8_t *scan_markers(struct conn *c, const struct how *h, uint8_t *from, uint8_t *end, uint64_t now) {
    uint64_t before = events_seen;
    while ((from = memchr(from, '#', end - from)) && end - from >= MARKER)
        from += take_marker(c, h, from, now) ? MARKER : 1;
    if (returned_ns && !c->live) check_live(c, h, events_seen > before);
    return from ? from : end;
}

static void answered(struct conn *c, int ok, uint64_t now) {
    if (c->answered == c->issued) return; /* a reply to something else */
    record_latency((int64_t)(now - c->sent_at[c->answered++ % in_flight]));
    if (ok) accepted++;
    else refused++;
}

static uint8_t *scan_replies(struct conn *c, uint8_t *from, uint8_t *end, uint64_t now) {
    uint8_t *found;
    while ((found = memmem(from, end - from, needle, header.needle)) && found + header.needle < end) {
        from = found + header.needle;
        if (c->state == READY) answered(c, *from == *yes, now);
    }
    if (found) return found;
    return (size_t)(end - from) < header.needle ? from : end - (header.needle - 1);
}

/* Payload bytes. What was kept of those before them is put right before them: the bytes there are used up. */
static void take_payload(struct conn *c, uint8_t *data, size_t size, uint64_t now) {
    const struct how *h = &hows[c - conns];
    uint8_t *start = data - c->tails, *end = data + size, *rest = end;
    memcpy(start, c->tail, c->tails);
    uint8_t *from = start + c->fresh;
    size_t keep = 0;
    if (mode == VIEWERS) rest = scan_markers(c, h, from, end, now);
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
    c->gather = c->opcode >= 8 || (header.ping && c->left == header.ping);
}

static void frame_ends(struct conn *c) {
    uint8_t pong[6 + CONTROL] = {0x8A, 0x80 | c->controls, 0, 0, 0, 0};
    c->have = 0;
    if (c->opcode == 9) {
        memcpy(pong + 6, c->control, c->controls);
        write_out(c, pong, 6 + c->controls);
    } else if (c->opcode == 8 && c->controls >= 2)
        close_code = c->control[0] << 8 | c->control[1];
    else if (c->opcode < 8 && c->gather && !memcmp(c->control, ping_payload, header.ping))
        write_out(c, pong_frame, header.pong);
}

static int head_size(const struct conn *c) {
    int kind = c->have < 2 ? 0 : c->head[1] & 127;
    return kind == 126 ? 4 : kind == 127 ? 10 : 2;
}

static void take_frames(struct conn *c, uint8_t *data, size_t size, uint64_t now) {
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

/* The answer to the upgrade; returns how much of the data belongs to it, 0 if it was refused. */
static size_t take_answer(struct conn *c, const uint8_t *data, size_t size) {
    if (!c->matched && (size < 12 || memcmp(data + 8, " 101", 4))) {
        ended(c, "the upgrade was answered with", data, size);
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        /* The lowest bit says that the status is known, the others how much of \r\n\r\n has been matched. */
        int matched = c->matched >> 1;
        matched = data[i] == "\r\n\r\n"[matched] ? matched + 1 : data[i] == '\r';
        c->matched = matched << 1 | 1;
        if (matched < 4) continue;
        const struct how *h = &hows[c - conns];
        c->state = ENTERING;
        if (h->r.after) write_out(c, h->after, h->r.after);
        if (!h->r.ready) is_ready(c);
        return i + 1;
    }
    return size;
}

static void refill(struct conn *c);

static void readable(struct conn *c) {
    ssize_t size = recv(c->fd, buffer, READ_SIZE, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
        char text[64];
        int used = close_code ? snprintf(text, sizeof text, "with code %d", close_code) : 0;
        ended(c, c->state == READY ? "hung up" : "hung up while opening", text, used);
        return;
    }
    uint64_t now = now_ns();
    uint8_t *data = buffer;
    received_bytes += size;
    if (c->state == UPGRADING) {
        size_t head = take_answer(c, data, size);
        if (!head) return;
        data += head;
        size -= head;
    }
    take_frames(c, data, size, now);
    if (mode == GIFTS && going && c->state == READY) refill(c);
}

/* ---- publish ---- */

static void put_digits(uint8_t *p, int size, uint64_t value) {
    while (size) p[--size] = '0' + value % 10, value /= 10;
}

static void publish_one(uint64_t due, uint64_t now) {
    int index = sent % count;
    struct conn *c = &conns[index];
    const struct how *h = &hows[index];
    static uint8_t frame[1 << 16];
    if (h->r.template > sizeof frame) die("a template too long");
    memcpy(frame, h->template, h->r.template);
    put_digits(frame + h->r.offset + 6, 10, ++c->number);
    put_digits(frame + h->r.offset + 17, 19, due);
    /* First the board: a viewer must not have what is not on it. */
    __atomic_store_n(&board[h->r.first], c->number, __ATOMIC_RELEASE);
    if (c->state == READY) write_out(c, frame, h->r.template);
    if (now - due > LATE_NS) late++;
    sent++;
}

static uint64_t next_due(void) { return start_ns + (uint64_t)(due_count * (1e9 / rate)); }

static void publish_due(void) {
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

/* ---- gifts ---- */

static uint64_t dice_state;

static uint64_t dice(void) { /* xorshift64*; keys must be unique, not secret */
    dice_state ^= dice_state >> 12;
    dice_state ^= dice_state << 25;
    dice_state ^= dice_state >> 27;
    return dice_state * 2685821657736338717ull;
}

static void put_key(uint8_t *p) {
    struct timespec t;
    char text[KEY + 1];
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t ms = (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000, a = dice(), b = dice();
    snprintf(text, sizeof text, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff),
             (unsigned)(a & 0xfff), (unsigned)(0x8000 | (a >> 16 & 0x3fff)),
             (unsigned long long)(b & 0xffffffffffffull));
    memcpy(p, text, KEY);
}

static void refill(struct conn *c) {
    static uint8_t frames[1 << 18];
    const struct how *h = &hows[c - conns];
    size_t size = 0;
    uint64_t now = now_ns();
    while (c->issued - c->answered < in_flight && size + h->r.template <= sizeof frames) {
        memcpy(frames + size, h->template, h->r.template);
        put_key(frames + size + h->r.offset);
        size += h->r.template;
        c->sent_at[c->issued++ % in_flight] = now;
        sent++;
    }
    if (size) write_out(c, frames, size);
}

/* ---- commands ---- */

static uint64_t count_missing(void) {
    uint64_t missing = 0;
    for (int i = 0; i < count; i++)
        for (uint32_t p = 0; p < hows[i].r.publishers; p++) {
            uint64_t most = newest(hows[i].r.first + p);
            if (most > conns[i].last[p]) missing += most - conns[i].last[p];
        }
    return missing;
}

static uint64_t count_published(void) {
    uint64_t published = 0;
    for (int p = 0; p < MAX_PUBLISHERS; p++) published += newest(p);
    return published;
}

#define U(x) ((unsigned long long)(x))

static void print_counters(void) {
    uint64_t ready = 0, lossy = 0, waiting = 0;
    for (int i = 0; i < count; i++) {
        ready += conns[i].state == READY;
        lossy += conns[i].lossy;
        waiting += conns[i].issued - conns[i].answered;
    }
    printf("{\"now_ns\":%llu,\"connections\":%d,\"ready\":%llu,\"gone\":%llu,\"failure\":\"%s\",\"bytes\":%llu,"
           "\"cpu_s\":%.4f,\"retries\":%llu,",
           U(now_ns()), count, U(ready), U(gone), failure, U(received_bytes), cpu_s(), U(retries));
    if (mode == VIEWERS)
        printf("\"events\":%llu,\"lost\":%llu,\"repeated\":%llu,\"disordered\":%llu,\"stray\":%llu,\"missing\":%llu,"
               "\"lossy\":%llu,\"live\":%llu,\"live_s\":%.4f,\"published\":%llu,",
               U(events_seen), U(lost), U(repeated), U(fallen), U(stray), U(count_missing()), U(lossy), U(live_count),
               live_count ? (live_ns - returned_ns) / 1e9 : 0.0, U(count_published()));
    else
        printf("\"sent\":%llu,\"going\":%d,\"late\":%llu,\"queued\":%llu,\"accepted\":%llu,\"refused\":%llu,"
               "\"waiting\":%llu,",
               U(sent), going, U(late), U(queued), U(accepted), U(refused), U(waiting));
    printf("\"latency\":[");
    const char *comma = "";
    for (size_t i = 0; i < CELLS; i++)
        if (histogram[i]) {
            printf("%s[%.1f,%llu]", comma, cell_us(i), U(histogram[i]));
            comma = ",";
        }
    puts("]}");
    fflush(stdout);
}

static void drop_all(void) {
    away = 1;
    live_count = returned_ns = 0;
    for (int i = 0; i < count; i++) {
        hang_up(&conns[i]);
        conns[i].state = IDLE;
        conns[i].live = conns[i].lossy = 0;
        conns[i].retry_at = 0;
    }
    opening = retrying = 0;
}

static void command(char *line) {
    double seconds;
    if (!strcmp(line, "?")) print_counters();
    else if (!strcmp(line, "drop") && mode == VIEWERS) drop_all();
    else if (!strncmp(line, "return ", 7) && mode == VIEWERS && away) {
        load_spec(line + 7);
        returned_ns = now_ns();
        away = next_to_open = 0;
    } else if (sscanf(line, "go %lf %lf", &rate, &seconds) == 2 && mode != VIEWERS && rate > 0) {
        going = 1;
        due_count = 0;
        start_ns = now_ns();
        stop_ns = start_ns + (uint64_t)(seconds * 1e9);
        for (int i = 0; mode == GIFTS && i < count; i++)
            if (conns[i].state == READY) refill(&conns[i]);
    } else if (!strcmp(line, "stop")) going = 0;
    else {
        errno = 0;
        die(line);
    }
}

/* Returns 0 at the end of stdin. */
static int read_commands(void) {
    static char text[8192];
    static size_t size;
    ssize_t n = read(0, text + size, sizeof text - 1 - size);
    if (n <= 0) return 0;
    size += n;
    text[size] = 0;
    char *line = text, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        command(line);
    }
    size = strlen(line);
    memmove(text, line, size);
    return 1;
}

/* ---- the loop ---- */

static void handle(struct epoll_event *event) {
    struct conn *c = &conns[event->data.u64];
    if (c->fd < 0) return; /* it was dropped since */
    if (c->state == CONNECTING) {
        connected(c, event->data.u64);
        return;
    }
    if (event->events & EPOLLOUT) write_more(c);
    if (event->events & ~EPOLLOUT) readable(c);
}

/* Until the next event is due, half a second at most; to the microsecond, which epoll_wait can't. */
static void wait_for_events(void) {
    struct pollfd fds[2] = {{.fd = loop, .events = POLLIN}};
    uint64_t now = now_ns(), until = now + (retrying ? 20000000 : 500000000);
    if (mode == PUBLISH && going && next_due() < until) until = next_due();
    uint64_t wait = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = wait / 1000000000u, .tv_nsec = wait % 1000000000u};
    ppoll(fds, 1, &timeout, NULL);
}

static void run(void) {
    static struct epoll_event ready[EVENTS];
    struct epoll_event input = {.events = EPOLLIN, .data.u64 = (uint64_t)STDIN_INDEX};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, 0, &input)) die("stdin");
    for (;;) {
        open_more();
        if (mode == PUBLISH && going) publish_due();
        if (mode == GIFTS && going && now_ns() >= stop_ns) going = 0;
        wait_for_events();
        int n = epoll_wait(loop, ready, EVENTS, 0);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.u64 != (uint64_t)STDIN_INDEX) handle(&ready[i]);
            else if (!read_commands()) return;
            if (mode == PUBLISH && going) publish_due();
        }
    }
}

static uint64_t positive(const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end || value < 1 || value > 1000000) {
        errno = 0;
        die(text);
    }
    return value;
}

static void make_connections(void) {
    conns = allocate(count, sizeof *conns);
    for (int i = 0; i < count; i++) {
        conns[i].fd = -1;
        conns[i].last = allocate((1 + REMEMBERED / 64) * hows[i].r.publishers, sizeof(uint64_t));
        conns[i].seen = conns[i].last + hows[i].r.publishers;
        if (mode == GIFTS) conns[i].sent_at = allocate(in_flight, sizeof(uint64_t));
    }
}

int main(int argc, char **argv) {
    struct rlimit limit;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (getrandom(&dice_state, sizeof dice_state, 0) != sizeof dice_state || !dice_state) die("getrandom");
    if (argc == 6 && !strcmp(argv[1], "viewers")) {
        mode = VIEWERS;
        map_board(argv[3]);
        sample = positive(argv[4]);
        replays = !strcmp(argv[5], "1");
    } else if (argc == 4 && !strcmp(argv[1], "publish")) {
        mode = PUBLISH;
        map_board(argv[3]);
    } else if (argc == 4 && !strcmp(argv[1], "gifts")) {
        mode = GIFTS;
        in_flight = positive(argv[3]);
    } else {
        fprintf(stderr, "drive viewers SPEC BOARD SAMPLE REPLAYS | publish SPEC BOARD | gifts SPEC IN_FLIGHT\n");
        return 1;
    }
    load_spec(argv[2]);
    if ((loop = epoll_create1(EPOLL_CLOEXEC)) < 0) die("epoll");
    make_connections();
    run();
    print_counters();
    return 0;
}
