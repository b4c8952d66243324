/* What is asked on stdin, one command a line, and what is answered on stdout, one JSON object a line. */

#include "drive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND = 8192 };

static void print_viewers(void) {
    uint64_t lossy = 0;
    for (int i = 0; i < count; i++) lossy += conns[i].lossy;
    printf("\"stray\":%llu,\"missing\":%llu,\"lossy\":%llu,\"live\":%llu,\"live_s\":%.4f,\"published\":%llu,",
           U(counters.stray), U(count_missing()), U(lossy), U(live_count),
           live_count ? (live_ns - returned_ns) / 1e9 : 0.0, U(count_published()));
}

static void print_senders(void) {
    uint64_t waiting = 0;
    for (int i = 0; i < count; i++) waiting += conns[i].issued - conns[i].answered;
    printf("\"sent\":%llu,\"going\":%d,\"late\":%llu,\"queued\":%llu,\"accepted\":%llu,\"refused\":%llu,"
           "\"waiting\":%llu,",
           U(counters.sent), going, U(counters.late), U(counters.queued), U(counters.accepted), U(counters.refused),
           U(waiting));
}

void print_counters(void) {
    uint64_t ready = 0;
    for (int i = 0; i < count; i++) ready += conns[i].state == READY;
    printf("{\"now_ns\":%llu,\"connections\":%d,\"ready\":%llu,\"gone\":%llu,\"failure\":\"%s\",\"bytes\":%llu,"
           "\"cpu_s\":%.4f,\"retries\":%llu,\"frames\":%llu,\"events\":%llu,\"lost\":%llu,\"repeated\":%llu,"
           "\"disordered\":%llu,",
           U(now_ns()), count, U(ready), U(counters.gone), failure, U(counters.bytes), cpu_s(), U(counters.retries),
           U(counters.frames), U(counters.events), U(counters.lost), U(counters.repeated), U(counters.disordered));
    if (mode == VIEWERS) print_viewers();
    if (mode == PUBLISH || mode == GIFTS) print_senders();
    printf("\"latency\":");
    print_latencies();
    puts("}");
    fflush(stdout);
}

static void go(double rate, double seconds) {
    going = 1;
    uint64_t now = now_ns();
    begin_publishing(now, rate);
    stop_ns = now + (uint64_t)(seconds * 1e9);
    for (int i = 0; mode == GIFTS && i < count; i++)
        if (conns[i].state == READY) refill(&conns[i]);
}

static void command(char *line) {
    double rate, seconds;
    int sends = mode == PUBLISH || mode == GIFTS;
    if (!strcmp(line, "?")) print_counters();
    else if (!strcmp(line, "drop") && mode == VIEWERS) drop_all();
    else if (!strncmp(line, "return ", 7) && mode == VIEWERS && away) {
        load_spec(line + 7);
        come_back();
    } else if (sscanf(line, "go %lf %lf", &rate, &seconds) == 2 && sends && rate > 0) go(rate, seconds);
    else if (!strcmp(line, "stop")) going = 0;
    else {
        errno = 0;
        die(line);
    }
}

int read_commands(void) {
    static char text[COMMAND];
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
