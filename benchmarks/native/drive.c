/* The load of `gifting bench` (--floor, --drain) and of `python -m benchmarks.compare`.
 *
 *   drive floor CONNECTIONS ROUNDS SIZE       what a send() costs: SIZE bytes to each of CONNECTIONS loopback
 *                                             connections, ROUNDS times over; prints CPU time per send()
 *   drive watch   SPEC                        viewers of this server that count and throw away
 *   drive viewers SPEC BOARD SAMPLE REPLAYS   viewers of anybody's: count and check the events that arrive
 *   drive publish SPEC BOARD                  send events at fixed times
 *   drive gifts   SPEC IN_FLIGHT              send gifts, each with a key of its own, and wait for the replies
 *
 * But for `floor` these are WebSocket connections that know nobody's protocol. SPEC (little-endian, written by
 * gifting/bench/spec.py) says how each is opened: the upgrade request, the frames sent once it is agreed to, and the
 * bytes that mean that it is in. Events are found by their marker (benchmarks/compare/marker.py), wherever it stands in
 * what arrives. BOARD is a file that publishers and viewers share: the newest number of each publisher. One latency in
 * SAMPLE is recorded; numbers are always checked. REPLAYS is 1 for a peer that gives a viewer that comes back what it
 * missed.
 *
 * Commands, one a line, on stdin; its end hangs up.
 *   ?               print the counters as one JSON line
 *   drop            viewers: hang up, all at once
 *   return SPEC     viewers: open all again, as this SPEC says
 *   go RATE SECONDS publish: RATE events per second in all, in turn over the connections; gifts: RATE is ignored
 *   stop            publish, gifts: no more
 *
 * Build: cc -O2 -o drive with all of gifting/bench/native.py's DRIVE. Linux. Exit code 1: could not run, with the
 * reason on stderr. */

#define _GNU_SOURCE
#include "drive.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum { MOST = 1000000, TIMER_SLACK_NS = 1000, RETRY_POLL_NS = 20000000, POLL_NS = 500000000 };

static const uint64_t STDIN = UINT64_MAX; /* no connection has this number */

enum mode mode;
int going;
uint64_t stop_ns;

/* Until the next event is due, half a second at most; to the microsecond, which epoll_wait can't. */
static void wait_for_events(void) {
    struct pollfd fd = {.fd = epoll, .events = POLLIN};
    uint64_t now = now_ns(), until = now + (retrying ? RETRY_POLL_NS : POLL_NS);
    if (mode == PUBLISH && going && next_due() < until) until = next_due();
    uint64_t wait = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S};
    ppoll(&fd, 1, &timeout, NULL);
}

static void run(void) {
    static struct epoll_event ready[EVENTS];
    struct epoll_event input = {.events = EPOLLIN, .data.u64 = STDIN};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input)) die("stdin");
    for (;;) {
        open_more();
        if (mode == PUBLISH && going) publish_due();
        if (mode == GIFTS && going && now_ns() >= stop_ns) going = 0;
        wait_for_events();
        int n = epoll_wait(epoll, ready, EVENTS, 0);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.u64 != STDIN) handle(&conns[ready[i].data.u64], ready[i].events);
            else if (!read_commands()) return;
            if (mode == PUBLISH && going) publish_due();
        }
    }
}

static int usage(void) {
    fprintf(stderr, "drive floor CONNECTIONS ROUNDS SIZE | watch SPEC | viewers SPEC BOARD SAMPLE REPLAYS | "
                    "publish SPEC BOARD | gifts SPEC IN_FLIGHT\n");
    return 1;
}

/* The mode that is asked for with as many arguments as it takes; 0 if there is none. */
static int choose(const char *name, int arguments) {
    static const struct { const char *name; enum mode mode; int arguments; } modes[] = {
        {"watch", WATCH, 1}, {"viewers", VIEWERS, 4}, {"publish", PUBLISH, 2}, {"gifts", GIFTS, 2}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(name, modes[i].name) && arguments == modes[i].arguments) {
            mode = modes[i].mode;
            return 1;
        }
    return 0;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    if (argc == 5 && !strcmp(argv[1], "floor")) return run_floor(argv + 2);
    if (argc < 3 || !choose(argv[1], argc - 2)) return usage();
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    if (mode == GIFTS) {
        in_flight = bounded(argv[3], MOST);
        seed_keys();
    }
    load_spec(argv[2]);
    make_connections();
    if (mode == VIEWERS || mode == PUBLISH) map_board(argv[3]);
    if (mode == VIEWERS) {
        sample = bounded(argv[4], MOST);
        replays = !strcmp(argv[5], "1");
    }
    if ((epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) die("epoll");
    run();
    print_counters();
    return 0;
}
