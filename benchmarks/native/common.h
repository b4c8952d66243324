/* What all modes share: errors, clocks, memory, bounds. */

#ifndef COMMON_H
#define COMMON_H

#include <stddef.h>
#include <stdint.h>

enum { NS_PER_S = 1000000000 };

#define U(x) ((unsigned long long)(x))

/* Say what failed, with errno's words, and end with 1. */
_Noreturn void die(const char *what);

/* A number from 1 to `most`; anything else ends the program. */
long bounded(const char *text, long most);

uint64_t now_ns(void); /* monotonic */
double cpu_s(void);    /* of this process, user and system */
void *allocate(size_t items, size_t size); /* zeros */
void raise_file_limit(void);

#endif
