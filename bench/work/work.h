/*
 * The bench's measuring loops. One process runs one loop over one peer and prints one line:
 *
 *   <nanoseconds> <operations>
 *
 * so that neither a language runtime nor process start is part of what is measured.
 */
#ifndef BYREF_BENCH_WORK_H
#define BYREF_BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>

/* What a loop did: how long it took, and how many operations that were. */
struct sample {
  uint64_t ns;
  uint64_t ops;
};

struct command {
  const char *name;
  const char *usage;
  int args; /* how many at least */
  struct sample (*run)(int argc, char **argv);
};

uint64_t now_ns(void);
/*
 * True once a loop that began at `start` and is at its i-th turn has taken long enough: a slow peer
 * does fewer operations in the same time. Looks at the clock every 64th time only.
 */
int out_of_time(uint64_t start, uint64_t i);
/* Prints "work: WHAT: strerror(errno)" and exits 1: a loop that fails measures nothing. */
void die(const char *what) __attribute__((noreturn));
long number(const char *text);

/* The lines of a file, NULL-terminated; never freed. */
struct lines {
  char **at;
  size_t count;
};
struct lines read_lines(const char *path);

/* Runs argv and waits; returns its exit status. */
int run_and_wait(char *const argv[]);

extern const struct command names_commands[];
extern const struct command data_commands[];
extern const struct command write_commands[];
extern const struct command process_commands[];
extern const struct command mount_commands[];
extern const struct command neighbour_commands[];

#endif
