/* What the kernel alone costs: the floor that `gifting bench --floor` holds its figures against.
 *
 *   floor send CONNECTIONS ROUNDS SIZE
 *       Sends SIZE bytes to each of CONNECTIONS loopback connections, ROUNDS times over, one send() each, while
 *       another process drains them. Prints the sender's CPU time per send().
 *
 *   floor watch HOST PORT PATH FILE SECONDS
 *       Opens one WebSocket per line of FILE ("TOKEN HEX": HEX is the first message, such as a join), prints
 *       `ready`, and counts and throws away what comes, until stdin ends or SECONDS have passed. Prints the
 *       counters for every byte on stdin, and at the end. Of a frame it reads only the head: the seq and the
 *       number of events, so that it sees missing ones (`lost`; lane `all`) and seqs that fall (`fallen`).
 *       Stands in for viewers at a fraction of the CPU, so that it leaves the machine to the server.
 *
 * Build: cc -O2 -o floor floor.c. Linux. Results are one JSON object on stdout. Exit code 1: could not run. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 20000,
    MAX_ROUNDS = 100000,
    MAX_SIZE = 65536,
    MAX_SECONDS = 3600,
    MAX_LINE = 8192,
    READ_SIZE = 65536,
    DISCARD_FROM = 32768, /* bytes from which the rest of a frame is discarded without copying */
    PEEK = 128,           /* bytes of a payload that hold its head: room, seq and number of events */
    EVENTS = 256
};

static char buffer[1 << 20];

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
    exit(1);
}

static long bounded(const char *text, long most) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || *end || value < 1 || value > most) {
        errno = 0;
        die(text);
    }
    return value;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void raise_file_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int connect_to(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die(host);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    return fd;
}

static void add(int loop, int fd, uint32_t index) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

/* ---- send ---- */

static void drain(int port, int connections) {
    int loop = epoll_create1(0), open = connections;
    static int fds[MAX_CONNECTIONS];
    for (int i = 0; i < connections; i++) {
        fds[i] = connect_to("127.0.0.1", port);
        add(loop, fds[i], i);
    }
    struct epoll_event events[EVENTS];
    while (open > 0) {
        int ready = epoll_wait(loop, events, EVENTS, 10000);
        if (ready == 0) exit(1);
        for (int i = 0; i < ready; i++) {
            int fd = fds[events[i].data.u32];
            if (recv(fd, buffer, READ_SIZE, 0) <= 0) {
                close(fd);
                open--;
            }
        }
    }
    exit(0);
}

static int send_floor(int connections, int rounds, int size) {
    static int fds[MAX_CONNECTIONS];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address)) die("bind");
    if (listen(listener, 4096) || getsockname(listener, (struct sockaddr *)&address, &length)) die("listen");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) drain(ntohs(address.sin_port), connections);
    for (int i = 0; i < connections; i++) {
        if ((fds[i] = accept(listener, NULL, NULL)) < 0) die("accept");
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    memset(buffer, 'x', size);
    double began = now_s(), cpu = cpu_us();
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < connections; i++)
            if (send(fds[i], buffer, size, MSG_NOSIGNAL) != size) die("send");
    cpu = cpu_us() - cpu;
    double seconds = now_s() - began, sends = (double)connections * rounds;
    for (int i = 0; i < connections; i++) close(fds[i]);
    waitpid(child, NULL, 0);
    printf("{\"connections\":%d,\"size\":%d,\"sends\":%.0f,\"seconds\":%.3f,\"us_per_send\":%.3f}\n",
           connections, size, sends, seconds, cpu / sends);
    return 0;
}

/* ---- watch ---- */

struct viewer {
    int fd;
    uint8_t head[10]; /* of a frame, as far as it has arrived */
    int have;
    uint64_t left; /* payload bytes of the current frame still to come */
    int opcode;
    uint8_t peek[PEEK];
    int peeked;
    uint64_t seq; /* of the last frame; 0 before the first */
};

static struct viewer viewers[MAX_CONNECTIONS];
static uint64_t bytes, frames, received, lost, fallen, pings, closes;

static void send_all(int fd, const void *data, size_t size) {
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
}

static size_t unhex(const char *text, uint8_t *out) {
    size_t size = 0;
    unsigned byte;
    while (size < 125 && sscanf(text + 2 * size, "%2x", &byte) == 1) out[size++] = byte;
    return size;
}

/* Connect, upgrade and say the first message. Blocking: this is before the measurement. */
static void open_viewer(struct viewer *v, const char *host, int port, const char *path, char *line) {
    static char head[MAX_LINE];
    uint8_t message[6 + 125] = {0x82, 0x80, 0, 0, 0, 0};
    char *hex = strchr(line, ' ');
    if (!hex) die("a line without a message");
    *hex++ = 0;
    v->fd = connect_to(host, port);
    int size = snprintf(head, sizeof head,
                        "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Protocol: gifting.v1.msgpack\r\nAuthorization: Bearer %s\r\n\r\n",
                        path, host, port, line);
    if (size >= (int)sizeof head) die("a token too long");
    send_all(v->fd, head, size);
    int have = 0;
    do { /* byte by byte, so that no frame is taken with the head */
        if (have == MAX_LINE - 1 || recv(v->fd, head + have, 1, 0) != 1) die("upgrade");
        head[++have] = 0;
    } while (have < 4 || memcmp(head + have - 4, "\r\n\r\n", 4));
    if (strncmp(head, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "floor: refused: %.100s\n", head);
        exit(1);
    }
    size_t length = unhex(hex, message + 6);
    message[1] |= length;
    send_all(v->fd, message, 6 + length);
}

static void frame_begins(struct viewer *v) {
    int kind = v->head[1] & 127, extra = kind == 126 ? 2 : kind == 127 ? 8 : 0;
    v->opcode = v->head[0] & 15;
    v->left = kind;
    if (extra) v->left = 0;
    for (int i = 0; i < extra; i++) v->left = v->left << 8 | v->head[2 + i];
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

static void count_events(struct viewer *v) {
    const uint8_t *seq = memmem(v->peek, v->peeked, "\xa3seq", 4);
    const uint8_t *events = memmem(v->peek, v->peeked, "\xa6" "events", 7);
    if (!seq || !events) return; /* a reply */
    uint64_t last = number(seq + 4), count = number(events + 7);
    received += count;
    if (v->seq && last < v->seq) fallen++;
    if (v->seq && last > v->seq + count) lost += last - v->seq - count;
    v->seq = last;
}

static void frame_ends(struct viewer *v) {
    static const uint8_t pong[6] = {0x8A, 0x80, 0, 0, 0, 0};
    v->have = 0;
    if (v->opcode == 2) count_events(v);
    v->peeked = 0;
    if (v->opcode == 9) {
        pings++;
        send(v->fd, pong, sizeof pong, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (v->opcode != 8 && v->opcode != 10)
        frames++;
}

static void take(struct viewer *v, const uint8_t *data, size_t size) {
    while (size) {
        int need = 2;
        if (v->have >= 2) need = (v->head[1] & 127) == 126 ? 4 : (v->head[1] & 127) == 127 ? 10 : 2;
        if (v->have < 2 || v->have < need) {
            v->head[v->have++] = *data++;
            size--;
            if (v->have >= 2) need = (v->head[1] & 127) == 126 ? 4 : (v->head[1] & 127) == 127 ? 10 : 2;
            if (v->have < need) continue;
            frame_begins(v);
            if (!v->left) frame_ends(v);
            continue;
        }
        size_t part = size < v->left ? size : v->left;
        size_t look = (size_t)(PEEK - 16 - v->peeked) < part ? (size_t)(PEEK - 16 - v->peeked) : part;
        memcpy(v->peek + v->peeked, data, look);
        v->peeked += look;
        v->left -= part;
        data += part;
        size -= part;
        if (!v->left) frame_ends(v);
    }
}

static int read_some(struct viewer *v) {
    ssize_t size;
    if (v->left >= DISCARD_FROM && v->peeked) {
        size = recv(v->fd, NULL, v->left < (1u << 30) ? v->left : 1u << 30, MSG_TRUNC | MSG_DONTWAIT);
        if (size > 0 && !(v->left -= size)) frame_ends(v);
    } else {
        size = recv(v->fd, buffer, READ_SIZE, MSG_DONTWAIT);
        if (size > 0) take(v, (uint8_t *)buffer, size);
    }
    if (size > 0) bytes += size;
    return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

static void print_counters(int count) {
    printf("{\"viewers\":%d,\"bytes\":%llu,\"frames\":%llu,\"events\":%llu,\"lost\":%llu,\"fallen\":%llu,"
           "\"pings\":%llu,\"closes\":%llu,\"cpu_s\":%.3f}\n",
           count, (unsigned long long)bytes, (unsigned long long)frames, (unsigned long long)received,
           (unsigned long long)lost, (unsigned long long)fallen, (unsigned long long)pings,
           (unsigned long long)closes, cpu_us() / 1e6);
    fflush(stdout);
}

static int watch(const char *host, int port, const char *path, const char *file, int seconds) {
    static char line[MAX_LINE];
    int loop = epoll_create1(0), count = 0;
    FILE *lines = fopen(file, "r");
    if (!lines) die(file);
    while (count < MAX_CONNECTIONS && fgets(line, sizeof line, lines)) {
        line[strcspn(line, "\n")] = 0;
        open_viewer(&viewers[count], host, port, path, line);
        add(loop, viewers[count].fd, count);
        count++;
    }
    fclose(lines);
    add(loop, 0, MAX_CONNECTIONS);
    puts("ready");
    fflush(stdout);
    double end = now_s() + seconds;
    struct epoll_event events[EVENTS];
    for (int going = 1; going && now_s() < end;) {
        int ready = epoll_wait(loop, events, EVENTS, 1000);
        for (int i = 0; i < ready; i++) {
            uint32_t index = events[i].data.u32;
            if (index == MAX_CONNECTIONS) {
                if (read(0, buffer, 1) <= 0) going = 0;
                else print_counters(count);
            } else if (!read_some(&viewers[index])) {
                closes++;
                close(viewers[index].fd);
            }
        }
    }
    print_counters(count);
    return 0;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    if (argc == 5 && !strcmp(argv[1], "send"))
        return send_floor(bounded(argv[2], MAX_CONNECTIONS), bounded(argv[3], MAX_ROUNDS),
                          bounded(argv[4], MAX_SIZE));
    if (argc == 7 && !strcmp(argv[1], "watch"))
        return watch(argv[2], bounded(argv[3], 65535), argv[4], argv[5], bounded(argv[6], MAX_SECONDS));
    fprintf(stderr, "floor send CONNECTIONS ROUNDS SIZE | floor watch HOST PORT PATH FILE SECONDS\n");
    return 1;
}
