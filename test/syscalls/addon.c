/*
 * Raw system calls for tests: what Node cannot call, and what must happen in one thread or in a
 * forked child. Arguments are numbers, buffers (their address is passed) or bigints: 64-bit values in
 * call(), and in a forked program the index of an earlier step, whose result is passed. Results are what the kernel returns: >= 0 or -errno.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <errno.h>
#include <node_api.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS 6
#define MAX_STEPS 128
/* Not a system call: memcpy(args[0], args[1], args[2]), so that page faults are the program's own. */
#define CALL_COPY -1

typedef struct {
  long number;
  long args[MAX_ARGS];
  bool is_step[MAX_ARGS];
} Step;

#define NUMBERS(X)                                                                               \
  X(openat) X(close) X(read) X(write) X(pread64) X(pwrite64) X(fallocate) X(lseek)               \
  X(copy_file_range) X(renameat2) X(name_to_handle_at) X(open_by_handle_at) X(inotify_init1)     \
  X(inotify_add_watch) X(inotify_rm_watch) X(flock) X(fcntl) X(setxattr) X(lsetxattr)            \
  X(fsetxattr) X(getxattr) X(lgetxattr) X(fgetxattr) X(listxattr) X(llistxattr) X(flistxattr)    \
  X(removexattr) X(lremovexattr) X(fremovexattr) X(utimensat) X(linkat) X(unlinkat) X(statx)     \
  X(mknodat) X(mkdirat) X(symlinkat) X(readlinkat) X(fchmod) X(fchmodat) X(fchownat) X(fchown)   \
  X(faccessat2) X(syncfs) X(fsync) X(fdatasync) X(sync_file_range) X(mmap) X(munmap) X(msync)    \
  X(mremap) X(madvise) X(setresuid) X(setresgid) X(setgroups) X(umask) X(chdir) X(fchdir)        \
  X(getcwd) X(getdents64) X(ftruncate) X(truncate) X(statfs) X(sendfile) X(splice) X(dup)        \
  X(prlimit64) X(exit) X(getpid) X(preadv2) X(pwritev2) X(ioctl) X(readahead) X(pipe2)           \
  X(nanosleep) X(kill) X(fadvise64) X(chroot) X(unshare)

static napi_value fail(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

static bool read_argument(napi_env env, napi_value value, long *out, bool *is_step) {
  napi_valuetype type;
  bool is_buffer = false, lossless;
  int64_t number;
  void *data;
  *is_step = false;
  napi_typeof(env, value, &type);
  if (type == napi_number) {
    napi_get_value_int64(env, value, &number);
    *out = number;
    return true;
  }
  if (type == napi_bigint) {
    napi_get_value_bigint_int64(env, value, &number, &lossless);
    *out = number;
    *is_step = true;
    return true;
  }
  napi_is_buffer(env, value, &is_buffer);
  if (!is_buffer) return false;
  napi_get_buffer_info(env, value, &data, NULL);
  *out = (long)data;
  return true;
}

static long run_step(const Step *step, const int64_t *results) {
  long a[MAX_ARGS];
  for (int i = 0; i < MAX_ARGS; i++) {
    bool from_step = results != NULL && step->is_step[i];
    a[i] = from_step ? (long)results[step->args[i] % MAX_STEPS] : step->args[i];
  }
  if (step->number == CALL_COPY) {
    memcpy((void *)a[0], (const void *)a[1], (size_t)a[2]);
    return 0;
  }
  long result = syscall(step->number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result == -1 ? -errno : result;
}

static bool read_step(napi_env env, const napi_value *values, size_t count, Step *step) {
  bool number_is_step;
  memset(step, 0, sizeof *step);
  if (count < 1 || count > MAX_ARGS + 1) return false;
  if (!read_argument(env, values[0], &step->number, &number_is_step)) return false;
  for (size_t i = 1; i < count; i++) {
    if (!read_argument(env, values[i], &step->args[i - 1], &step->is_step[i - 1])) return false;
  }
  return true;
}

/* call(number, ...args) -> result */
static napi_value call(napi_env env, napi_callback_info info) {
  napi_value argv[MAX_ARGS + 1], out;
  size_t argc = MAX_ARGS + 1;
  Step step;
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  if (!read_step(env, argv, argc, &step)) return fail(env, "call(number, ...numbers or buffers)");
  napi_create_int64(env, run_step(&step, NULL), &out);
  return out;
}

/* addressOf(buffer) -> number */
static napi_value address_of(napi_env env, napi_callback_info info) {
  napi_value argv[1], out;
  size_t argc = 1;
  long address;
  bool is_step;
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  if (argc != 1 || !read_argument(env, argv[0], &address, &is_step)) {
    return fail(env, "addressOf(buffer)");
  }
  napi_create_int64(env, address, &out);
  return out;
}

static void run_child(const Step *steps, uint32_t count, int64_t *results) {
  for (uint32_t i = 0; i < count; i++) {
    results[i] = run_step(&steps[i], results);
    results[MAX_STEPS] = i + 1;
  }
  _exit(0);
}

/*
 * start(steps) -> [pid, address of the results]: forks, and runs the steps one after another in the
 * child. Only async-signal-safe code runs there. The results are MAX_STEPS int64, then their count.
 */
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value argv[1], row, values[MAX_ARGS + 1], out, pid_value, address;
  size_t argc = 1;
  uint32_t count, width;
  static Step steps[MAX_STEPS];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  if (napi_get_array_length(env, argv[0], &count) != napi_ok || count > MAX_STEPS) {
    return fail(env, "start(steps): at most 128 steps");
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_get_element(env, argv[0], i, &row);
    if (napi_get_array_length(env, row, &width) != napi_ok || width > MAX_ARGS + 1) {
      return fail(env, "a step is [number, ...arguments]");
    }
    for (uint32_t j = 0; j < width; j++) napi_get_element(env, row, j, &values[j]);
    if (!read_step(env, values, width, &steps[i])) return fail(env, "a step's argument is wrong");
  }
  int64_t *results = mmap(NULL, (MAX_STEPS + 1) * sizeof *results, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (results == MAP_FAILED) return fail(env, "mmap failed");
  pid_t pid = fork();
  if (pid == 0) run_child(steps, count, results);
  napi_create_array_with_length(env, 2, &out);
  napi_create_int64(env, pid < 0 ? -errno : pid, &pid_value);
  napi_create_int64(env, (int64_t)results, &address);
  napi_set_element(env, out, 0, pid_value);
  napi_set_element(env, out, 1, address);
  return out;
}

/* finish(pid, address) -> [wait status, ...results of the steps that completed] */
static napi_value finish(napi_env env, napi_callback_info info) {
  napi_value argv[2], out, value;
  size_t argc = 2;
  int64_t pid, address;
  int status = 0;
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  napi_get_value_int64(env, argv[0], &pid);
  napi_get_value_int64(env, argv[1], &address);
  if (waitpid((pid_t)pid, &status, 0) != pid) return fail(env, "finish: no such child");
  int64_t *results = (int64_t *)address;
  int64_t count = results[MAX_STEPS];
  napi_create_array_with_length(env, (size_t)count + 1, &out);
  napi_create_int64(env, status, &value);
  napi_set_element(env, out, 0, value);
  for (int64_t i = 0; i < count; i++) {
    napi_create_int64(env, results[i], &value);
    napi_set_element(env, out, (uint32_t)i + 1, value);
  }
  munmap(results, (MAX_STEPS + 1) * sizeof *results);
  return out;
}

static napi_value init(napi_env env, napi_value exports) {
  napi_value numbers, value;
  napi_create_object(env, &numbers);
#define EXPORT_NUMBER(name)                          \
  napi_create_int64(env, SYS_##name, &value);        \
  napi_set_named_property(env, numbers, #name, value);
  NUMBERS(EXPORT_NUMBER)
  napi_create_int64(env, CALL_COPY, &value);
  napi_set_named_property(env, numbers, "copy", value);
  napi_property_descriptor properties[] = {
      {"numbers", NULL, NULL, NULL, NULL, numbers, napi_enumerable, NULL},
      {"call", NULL, call, NULL, NULL, NULL, napi_enumerable, NULL},
      {"addressOf", NULL, address_of, NULL, NULL, NULL, napi_enumerable, NULL},
      {"start", NULL, start, NULL, NULL, NULL, napi_enumerable, NULL},
      {"finish", NULL, finish, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof properties / sizeof *properties, properties);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
