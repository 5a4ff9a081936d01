/**
 * counting-server MIB: answers each line on port 7000 with how many lines were answered in all of its life, from a file that is removed. Each
 * connection is a child's; MIB of memory are written over, a page for each line, and checked.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t pattern(size_t i) { return i * 2654435761u + 12345; }

int main(int count, char **words) {
  const size_t length = (count > 1 ? strtoul(words[1], NULL, 10) : 0) << 20, step = 4096 / sizeof(uint64_t);
  uint64_t *memory = malloc(length + 4096);
  for (size_t i = 0; i < length / sizeof *memory; i += step) memory[i] = pattern(i);
  uint64_t *answered = mmap(NULL, sizeof *answered, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FILE *removed = fopen("/root/removed", "w+");
  unlink("/root/removed");
  const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7000)};
  if (bind(listener, (const struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 8) < 0) return 1;
  for (;;) {
    const int peer = accept(listener, NULL, NULL);
    if (peer < 0 || fork() != 0) {
      close(peer);
      continue;
    }
    FILE *in = fdopen(peer, "r"), *out = fdopen(dup(peer), "w");
    char line[256];
    size_t next = 0;
    while (fgets(line, sizeof line, in) != NULL) {
      if (length > 0) {
        if (memory[next] != pattern(next)) _exit(3);
        memory[next] = pattern(next);
        next = (next + step) % (length / sizeof *memory);
      }
      // What the file has is what memory has.
      unsigned long kept = 0;
      rewind(removed);
      if (fscanf(removed, "%lu", &kept) == 1 && kept != *answered) _exit(4);
      rewind(removed);
      fprintf(removed, "%lu\n", (unsigned long)++*answered);
      fflush(removed);
      fprintf(out, "%lu\n", (unsigned long)*answered);
      fflush(out);
    }
    _exit(0);
  }
}
