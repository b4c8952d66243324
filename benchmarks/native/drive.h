/* One process of the load: its connections, and what each mode does with them. */

#ifndef DRIVE_H
#define DRIVE_H

#include "common.h"

enum {
    TAIL = 64, /* payload bytes kept for what may straddle two reads */
    CONTROL = 125,
    PEEK = 112, /* bytes of a payload that hold its head: room, seq and number of events */
    EVENTS = 512
};

enum state { IDLE, CONNECTING, UPGRADING, ENTERING, READY, GONE };
enum mode { WATCH, VIEWERS, PUBLISH, GIFTS };

/* The spec's layout: a header and its four byte strings, then records, each followed by its four. */
struct header {
    uint32_t connections, host, port, at_once, ping, pong, needle, yes;
};
struct record {
    uint32_t first, publishers, offset, request, after, ready, template;
};

/* How a connection is opened, and what it sends again and again. */
struct how {
    struct record r;
    const uint8_t *request, *after, *ready, *template;
};

struct spec {
    struct header header;
    const uint8_t *ping, *pong, *needle, *yes;
    struct how *hows;
};

struct conn {
    int fd;
    enum state state;
    int matched;      /* of the blank line that ends the answer to the upgrade */
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
    uint64_t *last, *seen; /* per publisher: newest number, and a ring of bits for those up to it */
    uint8_t *out;          /* what the kernel did not take yet */
    size_t out_size, out_room;
    uint64_t *sent_at; /* gifts: ring of intended send times */
    uint32_t issued, answered;
    uint64_t number; /* publish: of the last event. watch: seq of the last frame, 0 before the first */
    uint8_t peek[PEEK];
    int peeked;
};

extern enum mode mode;
extern struct spec spec;
extern struct conn *conns;
extern int count; /* of connections */
extern int going; /* publish, gifts: until stop_ns */
extern uint64_t stop_ns;

/* What is counted, over the whole life of the process. */
struct counters {
    uint64_t bytes, frames, events, lost, repeated, disordered, stray, gone, retries, sent, late, queued, accepted,
        refused;
};
extern struct counters counters;

/* spec.c */
void load_spec(const char *path); /* again: for the same number of connections */

/* connection.c */
extern int epoll, retrying, away, close_code;
extern uint64_t returned_ns;
extern char failure[128];
void make_connections(void);
void open_more(void);
void write_out(struct conn *c, const void *data, size_t size);
void is_ready(struct conn *c);
void drop_all(void);
void come_back(void);
void handle(struct conn *c, uint32_t events);
static inline const struct how *how_of(const struct conn *c) { return &spec.hows[c - conns]; }

/* frames.c */
void take_frames(struct conn *c, uint8_t *data, size_t size, uint64_t now);
void frame_ends(struct conn *c);

/* viewers.c */
extern uint64_t sample, live_count, live_ns;
extern int replays;
void map_board(const char *path);
void set_newest(uint32_t publisher, uint64_t number);
uint8_t *scan_markers(struct conn *c, uint8_t *from, uint8_t *end, uint64_t now);
void check_live(struct conn *c, int got_event);
uint64_t count_missing(void);
uint64_t count_published(void);

/* watch.c */
void look_at(struct conn *c, const uint8_t *data, size_t size);
void count_events(struct conn *c);
int can_discard(const struct conn *c);

/* publish.c */
void begin_publishing(uint64_t now, double rate);
uint64_t next_due(void);
void publish_due(void);

/* gifts.c */
extern uint64_t in_flight;
void seed_keys(void);
void refill(struct conn *c);
uint8_t *scan_replies(struct conn *c, uint8_t *from, uint8_t *end, uint64_t now);

/* histogram.c */
void record_latency(int64_t ns);
void print_latencies(void); /* a JSON array of [µs, times] */

/* commands.c */
void print_counters(void);
int read_commands(void); /* 0 at the end of stdin */

/* floor.c */
int run_floor(char **arguments);

#endif
