/* Connections: how they are opened, what is written to them, and what arrives. */

#define _GNU_SOURCE
#include "drive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 17, RETRY_NS = 100000000, DISCARD_MOST = 1 << 30 };

struct conn *conns;
struct counters counters;
int count, epoll, close_code, retrying, away;
uint64_t returned_ns;
char failure[128];

static int opening, next_to_open;
static uint8_t space[TAIL + READ_SIZE], *const buffer = space + TAIL;

void make_connections(void) {
    conns = allocate(count, sizeof *conns);
    for (int i = 0; i < count; i++) {
        conns[i].fd = -1;
        if (mode == GIFTS) conns[i].sent_at = allocate(in_flight, sizeof(uint64_t));
    }
}

/* ---- writing ---- */

static void watch(struct conn *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = c - conns};
    if (epoll_ctl(epoll, operation, c->fd, &event)) die("epoll_ctl");
}

/* What the kernel does not take now goes out when it can. */
void write_out(struct conn *c, const void *data, size_t size) {
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
    counters.queued += rest;
}

static void write_more(struct conn *c) {
    ssize_t n = send(c->fd, c->out, c->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) return;
    memmove(c->out, c->out + n, c->out_size - n);
    c->out_size -= n;
    counters.queued -= n;
    if (!c->out_size) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* ---- opening and ending ---- */

static void hang_up(struct conn *c) {
    if (c->fd >= 0) close(c->fd);
    counters.queued -= c->out_size;
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
        counters.retries++;
        return;
    }
    c->state = GONE;
    counters.gone++;
}

static void start_open(struct conn *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(spec.header.port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(spec.header.host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTING;
    c->matched = c->have = c->controls = c->tails = c->fresh = c->gather = c->peeked = 0;
    c->left = 0;
    opening++;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        ended(c, "connect:", strerror(errno), strlen(strerror(errno)));
        return;
    }
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void open_more(void) {
    uint64_t now = retrying ? now_ns() : 0;
    int most = spec.header.at_once;
    for (int i = 0; retrying && i < count && opening < most; i++)
        if (conns[i].retry_at && conns[i].retry_at <= now) {
            conns[i].retry_at = 0;
            retrying--;
            start_open(&conns[i]);
        }
    while (!away && next_to_open < count && opening < most) start_open(&conns[next_to_open++]);
}

static void connected(struct conn *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        ended(c, "connect:", strerror(error), strlen(strerror(error)));
        return;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->state = UPGRADING;
    write_out(c, how_of(c)->request, how_of(c)->r.request);
}

void is_ready(struct conn *c) {
    c->state = READY;
    opening--;
    if (mode == VIEWERS) check_live(c, 0);
}

void drop_all(void) {
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

void come_back(void) {
    returned_ns = now_ns();
    away = next_to_open = 0;
}

/* ---- reading ---- */

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
        const struct how *h = how_of(c);
        c->state = ENTERING;
        if (h->r.after) write_out(c, h->after, h->r.after);
        if (!h->r.ready) is_ready(c);
        return i + 1;
    }
    return size;
}

static void take(struct conn *c, uint8_t *data, size_t size) {
    uint64_t now = now_ns();
    if (c->state == UPGRADING) {
        size_t head = take_answer(c, data, size);
        if (!head) return;
        data += head;
        size -= head;
    }
    take_frames(c, data, size, now);
    if (mode == GIFTS && going && c->state == READY) refill(c);
}

static void readable(struct conn *c) {
    int discard = mode == WATCH && c->state == READY && can_discard(c);
    ssize_t size = discard ? recv(c->fd, NULL, c->left < DISCARD_MOST ? c->left : DISCARD_MOST, MSG_TRUNC | MSG_DONTWAIT)
                           : recv(c->fd, buffer, READ_SIZE, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
        char text[64];
        int used = close_code ? snprintf(text, sizeof text, "with code %d", close_code) : 0;
        ended(c, c->state == READY ? "hung up" : "hung up while opening", text, used);
        return;
    }
    counters.bytes += size;
    if (!discard) take(c, buffer, size);
    else if (!(c->left -= size)) frame_ends(c);
}

void handle(struct conn *c, uint32_t events) {
    if (c->fd < 0) return; /* it was dropped since */
    if (c->state == CONNECTING) {
        connected(c);
        return;
    }
    if (events & EPOLLOUT) write_more(c);
    if (events & ~EPOLLOUT) readable(c);
}
