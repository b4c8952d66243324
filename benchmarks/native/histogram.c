/* Latencies in cells: exact at first, then 64 steps per doubling. */

#include "drive.h"

#include <stdio.h>

enum { EXACT = 128 /* µs */, STEPS = 64, CELLS = EXACT + STEPS * 24 };

static uint64_t histogram[CELLS];

void record_latency(int64_t ns) {
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

void print_latencies(void) {
    const char *comma = "";
    putchar('[');
    for (size_t i = 0; i < CELLS; i++)
        if (histogram[i]) {
            printf("%s[%.1f,%llu]", comma, cell_us(i), U(histogram[i]));
            comma = ",";
        }
    putchar(']');
}
