/* floor: what a send() costs the kernel. Another process drains the connections meanwhile. */

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
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 20000, MAX_ROUNDS = 100000, MAX_SIZE = 65536, QUIET_MS = 10000 };

static int fds[MAX_CONNECTIONS];
static char bytes[MAX_SIZE];

static _Noreturn void drain(const struct sockaddr_in *address, int connections) {
    int epoll = epoll_create1(0), open = connections;
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (fds[i] < 0 || connect(fds[i], (const struct sockaddr *)address, sizeof *address)) die("connect");
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event)) die("epoll_ctl");
    }
    while (open > 0) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, QUIET_MS);
        if (ready == 0) exit(1);
        for (int i = 0; i < ready; i++) {
            int fd = fds[events[i].data.u32];
            if (recv(fd, bytes, sizeof bytes, 0) <= 0) {
                close(fd);
                open--;
            }
        }
    }
    exit(0);
}

static int listen_anywhere(struct sockaddr_in *address) {
    socklen_t length = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (listener < 0 || bind(listener, (struct sockaddr *)address, length)) die("bind");
    if (listen(listener, 4096) || getsockname(listener, (struct sockaddr *)address, &length)) die("listen");
    return listener;
}

static void send_all(int connections, int rounds, int size) {
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < connections; i++)
            if (send(fds[i], bytes, size, MSG_NOSIGNAL) != size) die("send");
}

int run_floor(char **arguments) {
    int connections = bounded(arguments[0], MAX_CONNECTIONS), one = 1;
    int rounds = bounded(arguments[1], MAX_ROUNDS), size = bounded(arguments[2], MAX_SIZE);
    struct sockaddr_in address;
    int listener = listen_anywhere(&address);
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) drain(&address, connections);
    for (int i = 0; i < connections; i++) {
        if ((fds[i] = accept(listener, NULL, NULL)) < 0) die("accept");
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    memset(bytes, 'x', size);
    uint64_t began = now_ns();
    double cpu = cpu_s();
    send_all(connections, rounds, size);
    cpu = cpu_s() - cpu;
    double seconds = (now_ns() - began) / 1e9, sends = (double)connections * rounds;
    for (int i = 0; i < connections; i++) close(fds[i]);
    waitpid(child, NULL, 0);
    printf("{\"connections\":%d,\"size\":%d,\"sends\":%.0f,\"seconds\":%.3f,\"us_per_send\":%.3f}\n", connections,
           size, sends, seconds, cpu * 1e6 / sends);
    return 0;
}
