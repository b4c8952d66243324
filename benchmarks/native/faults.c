/* Faults of clock and disk for one program, by command through a file.
 *
 * Preloaded (LD_PRELOAD) into the program that FAULTS_ONLY names (its file name; unset: into all), it reads
 * FAULTS_CONTROL, a file of int64 in the order of `struct control`, which shim.py writes. It looks at the file all the
 * time: a fault begins and ends at once, and all processes of the program share it. Only append-only files are touched:
 * a log that says what went wrong can still be written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define STALL_POLL_US 1000
#define PATH_SIZE 4096

struct control {
    _Atomic int64_t clock_us;    /* what the wall clock is ahead, µs */
    _Atomic int64_t sync_error;  /* errno of every fsync; 0: none */
    _Atomic int64_t sync_stall;  /* not 0: an fsync does not return */
    _Atomic int64_t write_error; /* errno of every write; 0: none */
    _Atomic int64_t sync_kill;   /* not 0: the next fsync is not made, SIGKILL comes instead */
    _Atomic int64_t syncs;       /* fsyncs that failed, stalled or killed, so far */
    _Atomic int64_t writes;      /* writes that failed so far */
};

static struct control *control;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *, void *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);

static void find_real(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
}

__attribute__((constructor)) static void open_control(void) {
    const char *path = getenv("FAULTS_CONTROL"), *only = getenv("FAULTS_ONLY");
    find_real();
    if (path == NULL || (only != NULL && strcmp(only, program_invocation_short_name) != 0)) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) control = page;
}

static int is_append_only(int fd) {
    char link[64], path[PATH_SIZE];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 4) return 0;
    path[size] = 0;
    return strcmp(path + size - 4, ".aof") == 0;
}

static int64_t ahead(clockid_t clock) {
    if (control == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return 0;
    return control->clock_us;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (real_clock_gettime == NULL) find_real();
    int result = real_clock_gettime(clock, now);
    int64_t us = ahead(clock);
    if (result == 0 && us != 0) {
        int64_t all = (int64_t)now->tv_sec * 1000000 + now->tv_nsec / 1000 + us;
        now->tv_sec = all / 1000000;
        now->tv_nsec = all % 1000000 * 1000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    if (real_gettimeofday == NULL) find_real();
    int result = real_gettimeofday(now, zone);
    int64_t us = ahead(CLOCK_REALTIME);
    if (result == 0 && us != 0) {
        int64_t all = (int64_t)now->tv_sec * 1000000 + now->tv_usec + us;
        now->tv_sec = all / 1000000;
        now->tv_usec = all % 1000000;
    }
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}

/* 0, or the errno that a sync of this file ends with. */
static int sync_fault(int fd) {
    if (control == NULL || !(control->sync_error || control->sync_stall || control->sync_kill)) return 0;
    if (!is_append_only(fd)) return 0;
    control->syncs++;
    if (control->sync_kill) {
        control->sync_kill = 0;
        kill(getpid(), SIGKILL);
    }
    while (control->sync_stall) usleep(STALL_POLL_US);
    return (int)control->sync_error;
}

int fsync(int fd) {
    if ((errno = sync_fault(fd)) != 0) return -1;
    return real_fsync(fd);
}

int fdatasync(int fd) {
    if ((errno = sync_fault(fd)) != 0) return -1;
    return real_fdatasync(fd);
}

/* 0, or the errno that a write to this file ends with. */
static int write_fault(int fd) {
    int error = control == NULL ? 0 : (int)control->write_error;
    if (error == 0 || !is_append_only(fd)) return 0;
    control->writes++;
    return error;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (real_write == NULL) find_real();
    int error = write_fault(fd);
    if (error == 0) return real_write(fd, data, size);
    errno = error;
    return -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (real_writev == NULL) find_real();
    int error = write_fault(fd);
    if (error == 0) return real_writev(fd, parts, count);
    errno = error;
    return -1;
}
