/* The spec: how each connection is opened, ready to be sent, as gifting/bench/spec.py has written it. */

#include "drive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct spec spec;

static const uint8_t *map_file(const char *path, size_t *size) {
    struct stat info;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &info)) die(path);
    const uint8_t *data = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) die(path);
    close(fd);
    *size = info.st_size;
    return data;
}

static const uint8_t *take_bytes(const uint8_t **at, size_t size) {
    const uint8_t *here = *at;
    *at += size;
    return here;
}

static void take_record(struct how *h, const uint8_t **at) {
    memcpy(&h->r, take_bytes(at, sizeof h->r), sizeof h->r);
    h->request = take_bytes(at, h->r.request);
    h->after = take_bytes(at, h->r.after);
    h->ready = take_bytes(at, h->r.ready);
    h->template = take_bytes(at, h->r.template);
    if (h->r.ready > TAIL) die("a record out of bounds");
}

void load_spec(const char *path) {
    size_t size;
    const uint8_t *at = map_file(path, &size), *end = at + size;
    memcpy(&spec.header, take_bytes(&at, sizeof spec.header), sizeof spec.header);
    if (spec.hows && (int)spec.header.connections != count) die("another number of connections");
    count = spec.header.connections;
    spec.ping = take_bytes(&at, spec.header.ping);
    spec.pong = take_bytes(&at, spec.header.pong);
    spec.needle = take_bytes(&at, spec.header.needle);
    spec.yes = take_bytes(&at, spec.header.yes);
    free(spec.hows);
    spec.hows = allocate(count, sizeof *spec.hows);
    for (int i = 0; i < count; i++) take_record(&spec.hows[i], &at);
    errno = 0;
    if (at != end) die("a spec of another size");
}
