// The last words of a process that a signal ends: LMDB maps files into memory, and a page that has gone bad, or can't be
// read, is no error to it but SIGBUS or SIGSEGV. What is called here may be called in a signal handler.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
constexpr char kTable[] = ".mdb";

struct Words {
  char text[512];
  size_t length;
};

struct sigaction former[NSIG];
Words before;
Words after;
int exit_code = -1;

// What is mapped at an address.
struct Mapping {
  char path[PATH_MAX];
  bool is_there;
  bool is_closed;  // Nothing may be read there: V8 has such places, and handles the signal itself.
};

// One line of /proc/self/maps: "from-to perms offset device inode   path".
bool TakeLine(char* line, uintptr_t address, Mapping* out) {
  char* end;
  const uintptr_t from = strtoull(line, &end, 16);
  if (*end != '-') return false;
  const uintptr_t to = strtoull(end + 1, &end, 16);
  if (address < from || address >= to) return false;
  out->is_there = true;
  out->is_closed = strncmp(end, " ---", 4) == 0;
  const char* path = strchr(end, '/');
  if (path != nullptr) strncpy(out->path, path, sizeof out->path - 1);
  return true;
}

void FindMapping(uintptr_t address, Mapping* out) {
  const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  static char line[PATH_MAX + 128];
  size_t length = 0;
  char chunk[1024];
  ssize_t got;
  while ((got = read(fd, chunk, sizeof chunk)) > 0) {
    for (ssize_t i = 0; i < got; i++) {
      if (chunk[i] != '\n') {
        if (length < sizeof line - 1) line[length++] = chunk[i];
        continue;
      }
      line[length] = 0;
      length = 0;
      if (TakeLine(line, address, out)) {
        close(fd);
        return;
      }
    }
  }
  close(fd);
}

bool IsTable(const char* path) {
  const size_t length = strlen(path);
  const size_t ending = sizeof kTable - 1;
  return length > ending && strcmp(path + length - ending, kTable) == 0;
}

const char* NameOf(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGABRT:
      return "SIGABRT";
    case SIGILL:
      return "SIGILL";
    default:
      return "SIGFPE";
  }
}

void Add(Words* to, const char* text) {
  const size_t room = sizeof to->text - to->length;
  const size_t length = strnlen(text, room);
  memcpy(to->text + to->length, text, length);
  to->length += length;
}

void Say(int signal, const Mapping& mapping) {
  static Words words;
  words.length = 0;
  Add(&words, NameOf(signal));
  Add(&words, " ended this process");
  if (mapping.path[0] != 0) {
    Add(&words, " as it used ");
    Add(&words, mapping.path);
    if (IsTable(mapping.path)) Add(&words, ", which is damaged, or can't be read");
  }
  (void)!write(STDERR_FILENO, before.text, before.length);
  (void)!write(STDERR_FILENO, words.text, words.length);
  (void)!write(STDERR_FILENO, after.text, after.length);
}

// Leaves the signal to whoever handled it before, or to the kernel.
void PassOn(int signal, siginfo_t* info, void* context) {
  const struct sigaction& other = former[signal];
  if ((other.sa_flags & SA_SIGINFO) != 0) {
    other.sa_sigaction(signal, info, context);
    return;
  }
  // The instruction is executed again, or abort() goes on; what was sent by somebody is sent again.
  sigaction(signal, &other, nullptr);
  if (info->si_code <= 0) raise(signal);
}

void OnSignal(int signal, siginfo_t* info, void* context) {
  static Mapping mapping;
  mapping = {};
  // Only the kernel says an address.
  if (info->si_code > 0) FindMapping(reinterpret_cast<uintptr_t>(info->si_addr), &mapping);
  const bool isOwn = mapping.is_there && mapping.is_closed && mapping.path[0] == 0;
  const bool isTold = exit_code == 0 ? !isOwn : IsTable(mapping.path);
  if (isTold) {
    Say(signal, mapping);
    if (exit_code != 0) _exit(exit_code);
    struct sigaction none = {};
    none.sa_handler = SIG_DFL;
    sigaction(signal, &none, nullptr);
    if (info->si_code <= 0) raise(signal);
    return;
  }
  PassOn(signal, info, context);
}

napi_value TellDeaths(napi_env env, napi_callback_info info) {
  const Args a(env, info);
  if (exit_code >= 0) return Number(env, 0);
  napi_get_value_string_utf8(env, a.value(0), before.text, sizeof before.text, &before.length);
  napi_get_value_string_utf8(env, a.value(1), after.text, sizeof after.text, &after.length);
  exit_code = a.i32(2);
  struct sigaction action = {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : kSignals) sigaction(signal, &action, &former[signal]);
  return Number(env, 0);
}

}  // namespace

void ExportDeath(napi_env env, napi_value exports) {
  Export(env, exports, "tellDeaths", TellDeaths);
}

}  // namespace byref
