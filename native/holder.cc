// byref-holder ROOT: keeps a second copy of every /dev/fuse descriptor of a root, and does nothing with them. While it lives,
// the death of a driver does not end the mounts: what runs in them waits instead of failing, and this process starts another
// driver, which goes on with them. It touches no mount.
//
// It is no Node program, because every first mount waits for it: it starts in a millisecond, and takes one megabyte. It
// answers the HolderVerbs of src/ipc/protocol.ts: one JSON object per line each way. Its socket and lock
// are named by BYREF_SOCKET and BYREF_LOCK, its version by BYREF_VERSION.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "holder_json.h"

namespace byref {
namespace {

// CONTROL_VERSION and MAX_LINE of src/ipc/protocol.ts.
constexpr int kControlVersion = 1;
constexpr size_t kMaxLine = 8 << 20;
// How often to look for devices that a dead driver left and nobody mounts any more.
constexpr long long kSweepMs = 30'000;
// This many bytes of answers may wait for a peer that does not read; then it is not heard.
constexpr size_t kUnread = 1 << 20;
// How long a peer may take to read these before it is let go of.
constexpr long long kUnreadMs = 5'000;
// The largest id, and the largest process id or descriptor.
constexpr long long kIdMax = 0xffffffff, kIntMax = 0x7fffffff;
// The longest mount point, quotes and escapes included.
constexpr size_t kMountpointMax = 6 * 4096;
// No more of what a peer sent is repeated in an answer.
constexpr size_t kShownMax = 100;
// After so many drivers that ended before they took over, the next one is started only after a while, which grows twofold
// so many times.
constexpr int kAtOnce = 5;
constexpr long long kAgainMs = 250;
constexpr int kTriesMax = 7;
// A driver says that it lives this often within the time after which it counts as hung.
constexpr int kBeats = 6;
constexpr int kInfo = 30, kWarn = 40;

struct Held {
  int fd;
  // The number of its driver's connection.
  long long driver;
  long long shard;
  // As it was written, quotes and all.
  std::string mountpoint;
};

struct Peer {
  int fd;
  std::string pending;
  // What it has not taken yet, and since when it has taken nothing.
  std::string answers;
  long long heard;
  // The end of its input was seen, or something that is no request.
  bool over;
  // For a driver that says that it lives: its process, and how many times it was looked for that in vain.
  pid_t beats = 0;
  int missed = 0;
};

// How a shard's driver is started again.
struct Restart {
  std::vector<std::string> words;
  // The process that was started; 0 if it has ended, or none was.
  pid_t pid = 0;
  // How often one was started that ended before it took the devices, and when the next one may be.
  int tries = 0;
  long long next_ms = 0;
};

std::string root;
std::string socket_path;
std::string version;
std::map<long long, Held> held;
std::map<long long, Peer> peers;
std::map<long long, Restart> restarts;
long long peers_made = 0;
long long idle_exit_ms = 10'000;
// How long a driver may say nothing before it is ended, so that another one takes over.
long long hang_ms = 60'000;
long long idle_since = 0;
bool ending = false;

long long NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
}

// One line, as pino writes them; `fields` begin with a comma.
void Log(int level, const std::string& fields, const char* message) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts;
  gmtime_r(&now.tv_sec, &parts);
  char when[32], head[128];
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(head, sizeof head, R"({"level":%d,"time":"%s.%03ldZ","pid":%d,"process":"holder")", level,
           when, now.tv_nsec / 1'000'000, getpid());
  const std::string line = head + fields + ",\"msg\":\"" + message + "\"}\n";
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) return;
}

std::string Field(const char* name, long long value) {
  return std::string(",\"") + name + "\":" + std::to_string(value);
}

bool Drop(long long env) {
  const auto found = held.find(env);
  if (found == held.end()) return false;
  close(found->second.fd);
  held.erase(found);
  Log(kInfo, Field("env", env), "dropped");
  return true;
}

// The device that an env's mount shows in /proc/self/mountinfo, between blanks.
std::string SourceOf(long long env) {
  std::string source = " fuse.byref byref:";
  for (const char c : root) {
    char code[8];
    snprintf(code, sizeof code, strchr(" \t\n\\", c) != nullptr ? "\\%03o" : "%c", c);
    source += code;
  }
  return source + "/envs/" + std::to_string(env) + " ";
}

// Lets go of devices whose driver died and whose mount was taken away since.
void Sweep() {
  std::vector<long long> orphans;
  for (const auto& [env, each] : held)
    if (peers.count(each.driver) == 0) orphans.push_back(env);
  if (orphans.empty()) return;
  std::stringstream mounts;
  mounts << std::ifstream("/proc/self/mountinfo").rdbuf();
  const std::string text = mounts.str();
  for (const long long env : orphans)
    if (text.find(SourceOf(env)) == std::string::npos) Drop(env);
}

// Closes all that a child must not have: the devices above all.
void CloseAll() { syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0); }

// Starts a program that outlives this process, with its output in a shard's log. Returns its process; 0 if that failed.
pid_t Start(long long shard, const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const std::string log = socket_path.substr(0, socket_path.rfind('/') + 1) + "shard-" + std::to_string(shard) + ".log";
  const pid_t child = fork();
  if (child < 0) Log(kWarn, Field("shard", shard) + Field("errno", errno), "a driver can't be started");
  if (child != 0) return std::max(child, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setsid();
  const int out = open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600);
  if (out >= 0) {
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
  }
  CloseAll();
  // What a test wants to fail was to fail in the driver that is gone.
  unsetenv("BYREF_FAILPOINT");
  execv(argv[0], argv.data());
  _exit(127);
}

// Shards of which devices are held whose driver is gone.
std::set<long long> Orphaned() {
  std::set<long long> shards;
  for (const auto& [env, each] : held)
    if (peers.count(each.driver) == 0) shards.insert(each.shard);
  return shards;
}

// Starts drivers for those. Returns the milliseconds until it is to be called again; -1 if nothing is to be done.
long long StartDrivers(long long now) {
  long long due = -1;
  const std::set<long long> shards = Orphaned();
  for (auto& [shard, restart] : restarts) {
    if (shards.count(shard) == 0) restart.tries = 0;
    if (shards.count(shard) == 0 || restart.words.empty() || restart.pid != 0) continue;
    if (now >= restart.next_ms) {
      Log(kWarn, Field("shard", shard) + Field("tries", restart.tries), "its driver is gone: another one is started");
      restart.pid = Start(shard, restart.words);
      // The first ones at once: whatever ended them may have been meant for the driver before them.
      restart.next_ms = now + (restart.tries < kAtOnce ? 0 : kAgainMs << std::min(restart.tries - kAtOnce, kTriesMax));
      restart.tries++;
    }
    const long long left = restart.pid != 0 ? -1 : restart.next_ms - now;
    if (left >= 0) due = due < 0 ? left : std::min(due, left);
  }
  return due;
}

// True if a driver of the shard runs, or will at once.
bool HasDriver(long long shard, const Restart& restart) {
  const auto is_of_it = [shard](const auto& each) { return each.second.shard == shard; };
  const bool is_held = std::any_of(held.begin(), held.end(), is_of_it);
  return is_held && !restart.words.empty() && (restart.pid != 0 || restart.tries <= kAtOnce);
}

void Reap() {
  for (pid_t pid; (pid = waitpid(-1, nullptr, WNOHANG)) > 0;)
    for (auto& [shard, restart] : restarts)
      if (restart.pid == pid) restart.pid = 0;
}

std::string Error(const char* code, const std::string& message, const char* hint) {
  return std::string("\"ok\":false,\"error\":{\"code\":\"") + code + "\",\"message\":" + Quoted(message) +
         ",\"hint\":" + Quoted(hint) + "}";
}

constexpr char kUpgrade[] = "Unmount its envs with the byref that mounted them, then mount them again.";

std::string Result(const std::string& value) { return "\"ok\":true,\"result\":" + value; }

std::string Wrong(const char* verb) {
  return Error("usage", std::string(verb) + " can't be answered: its arguments are not as they should be", kUpgrade);
}

std::string Hold(std::string_view args, long long peer) {
  const long long env = NumberOf(Member(args, "env")), pid = NumberOf(Member(args, "pid"));
  const long long theirs = NumberOf(Member(args, "fd")), shard = NumberOf(Member(args, "shard"));
  const std::string mountpoint(Member(args, "mountpoint"));
  if (env < 1 || env > kIdMax || pid < 1 || pid > kIntMax || theirs < 0 || theirs > kIntMax || shard < 0 ||
      mountpoint.size() > kMountpointMax || !IsString(mountpoint))
    return Wrong("hold");
  const int process = syscall(SYS_pidfd_open, pid, 0);
  const int fd = process < 0 ? -1 : syscall(SYS_pidfd_getfd, process, theirs, 0);
  const int error = errno;
  if (process >= 0) close(process);
  if (fd < 0) {
    const std::string message = "pidfd_getfd failed with errno " + std::to_string(error);
    return Error("unsupported", message,
                 "The kernel must be 5.6 or later, and byref must run as root; see: byref doctor");
  }
  Drop(env);
  held[env] = {fd, peer, shard, mountpoint};
  restarts[shard].words = TextsOf(Member(args, "restart"));
  Log(kInfo,
      Field("env", env) + Field("shard", shard) + ",\"mountpoint\":" + mountpoint + Field("driver", pid),
      "holding");
  return Result("null");
}

std::string Status() {
  Sweep();
  std::string devices;
  for (const auto& [env, each] : held) {
    devices += (devices.empty() ? "" : ",") + std::string("{\"env\":") + std::to_string(env) +
               ",\"mountpoint\":" + each.mountpoint + Field("shard", each.shard) + Field("fd", each.fd) + "}";
  }
  std::string driven;
  for (const auto& [shard, restart] : restarts)
    if (HasDriver(shard, restart)) driven += (driven.empty() ? "" : ",") + std::to_string(shard);
  return Result("{\"pid\":" + std::to_string(getpid()) + ",\"root\":" + Quoted(root) + ",\"driven\":[" + driven + "]" +
                ",\"version\":" + Quoted(version) + ",\"devices\":[" + devices + "]}");
}

std::string Stop(std::string_view args) {
  const std::string_view force = Member(args, "force");
  if (force != "true" && force != "false") return Wrong("stop");
  Sweep();
  if (!held.empty() && force != "true") {
    return Error("busy", "the holder holds the devices of " + std::to_string(held.size()) + " mounted envs",
                 "Unmount them first: byref umount --all");
  }
  ending = true;
  return Result("null");
}

std::string Beat(std::string_view args, long long peer) {
  const long long pid = NumberOf(Member(args, "pid"));
  if (pid < 1 || pid > kIntMax) return Wrong("beat");
  peers[peer].beats = static_cast<pid_t>(pid);
  peers[peer].missed = 0;
  return Result("null");
}

// Ends drivers that have not said for long that they live. What is counted is how often this process looked, not the time: both may
// have stood still.
void EndHung() {
  std::set<long long> drivers;
  for (const auto& [env, each] : held) drivers.insert(each.driver);
  for (auto& [number, peer] : peers) {
    if (peer.beats == 0 || drivers.count(number) == 0 || ++peer.missed <= kBeats) continue;
    Log(kWarn, Field("driver", peer.beats) + Field("ms", hang_ms), "a driver hangs, and is ended");
    kill(peer.beats, SIGKILL);
    peer.missed = 0;
  }
}

std::string Answer(std::string_view request, long long peer) {
  const long long v = NumberOf(Member(request, "v"));
  if (v != kControlVersion) {
    return Error("unsupported",
                 "the running process speaks control version " + std::to_string(kControlVersion) + ", not " +
                     std::to_string(v),
                 kUpgrade);
  }
  const std::string_view verb = Member(request, "verb"), args = Member(request, "args");
  if (verb == "\"hold\"") return Hold(args, peer);
  if (verb == "\"drop\"") {
    const long long env = NumberOf(Member(args, "env"));
    if (env < 1 || env > kIdMax) return Wrong("drop");
    return Result(Drop(env) ? "{\"dropped\":true}" : "{\"dropped\":false}");
  }
  if (verb == "\"beat\"") return Beat(args, peer);
  if (verb == "\"status\"") return Status();
  if (verb == "\"stop\"") return Stop(args);
  return Error("usage", "no such request: " + std::string(verb.substr(0, kShownMax)), kUpgrade);
}

// Sends what the peer takes now; false if it is gone.
bool SendSome(Peer* peer, long long now) {
  while (!peer->answers.empty()) {
    const ssize_t sent = send(peer->fd, peer->answers.data(), peer->answers.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    peer->answers.erase(0, sent);
    peer->heard = now;
  }
  return true;
}

bool Reads(const Peer& peer) { return peer.answers.size() <= kUnread; }

// Answers whole lines, as long as the peer reads; what is no request is the last that is heard of it.
void ServeLines(long long number, Peer* peer) {
  size_t from = 0;
  for (size_t end; !peer->over && Reads(*peer) && (end = peer->pending.find('\n', from)) != std::string::npos;) {
    const std::string_view line = std::string_view(peer->pending).substr(from, end - from);
    from = end + 1;
    const long long id = NumberOf(Member(line, "id"));
    peer->over = id < 0;
    if (peer->answers.empty()) peer->heard = NowMs();
    const std::string answer = id < 0 ? Error("usage", "this is no request", kUpgrade) : Answer(line, number);
    peer->answers += "{\"v\":" + std::to_string(kControlVersion) + Field("id", id < 0 ? 0 : id) + "," + answer + "}\n";
  }
  peer->pending.erase(0, from);
}

// False if the connection is to end.
bool Hear(long long number, Peer* peer, short events, long long now) {
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
    char bytes[65536];
    const ssize_t length = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) peer->over = true;
    if (length > 0) peer->pending.append(bytes, length);
  }
  do {
    ServeLines(number, peer);
    if (!SendSome(peer, now)) return false;
  } while (peer->answers.empty() && !peer->over && peer->pending.find('\n') != std::string::npos);
  if (peer->over) return !peer->answers.empty() && now - peer->heard < kUnreadMs && (events & (POLLHUP | POLLERR)) == 0;
  return !Reads(*peer) || peer->pending.size() <= kMaxLine;
}

void Accept(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  peers[++peers_made] = {fd, "", "", NowMs(), false};
}

// SIGTERM and SIGINT ask to end, and are heard only if nothing is held. SIGCHLD tells that a driver ended.
void OnSignal(int signals) {
  signalfd_siginfo info;
  if (read(signals, &info, sizeof info) != sizeof info) return;
  if (info.ssi_signo == SIGHUP) return;
  if (info.ssi_signo == SIGCHLD) return Reap();
  if (held.empty()) ending = true;
  else Log(kWarn, Field("mounts", held.size()), "signal ignored while mounts are held; use byref umount");
}

// Milliseconds until something is due; -1 if nothing is.
int UntilDue(long long now) {
  if (!held.empty()) return static_cast<int>(std::min(kSweepMs, hang_ms / kBeats));
  if (!peers.empty()) return -1;
  const long long left = idle_since + idle_exit_ms - now;
  return left > 0 ? left : 0;
}

// Ends connections to peers that do not read what they asked for.
void LetGoOfLate(long long now) {
  for (auto at = peers.begin(); at != peers.end();) {
    const Peer& peer = at->second;
    const bool is_late = (!Reads(peer) || peer.over) && now - peer.heard >= kUnreadMs;
    if (is_late) close(peer.fd);
    at = is_late ? peers.erase(at) : std::next(at);
  }
}

void Serve(int listener, int signals) {
  long long swept = NowMs(), looked = swept;
  idle_since = swept;
  while (!ending) {
    std::vector<pollfd> wait = {{listener, POLLIN, 0}, {signals, POLLIN, 0}};
    std::vector<long long> numbers;
    bool is_late = false;
    for (const auto& [number, peer] : peers) {
      const short in = Reads(peer) && !peer.over ? POLLIN : 0;
      wait.push_back({peer.fd, static_cast<short>(peer.answers.empty() ? in : in | POLLOUT), 0});
      numbers.push_back(number);
      is_late = is_late || !peer.answers.empty();
    }
    const long long start = StartDrivers(NowMs());
    const int later = UntilDue(NowMs());
    const int due = start < 0 || (later >= 0 && later < start) ? later : static_cast<int>(start);
    const int unread = static_cast<int>(kUnreadMs);
    const int ready = poll(wait.data(), wait.size(), is_late && (due < 0 || due > unread) ? unread : due);
    const long long now = NowMs();
    if (is_late) LetGoOfLate(now);
    if (ready > 0) {
      idle_since = now;
      if (wait[1].revents != 0) OnSignal(signals);
      for (size_t i = 0; i < numbers.size(); i++) {
        if (wait[i + 2].revents == 0) continue;
        const auto found = peers.find(numbers[i]);
        if (found == peers.end() || Hear(numbers[i], &found->second, wait[i + 2].revents, now)) continue;
        close(found->second.fd);
        peers.erase(found);
      }
      if (wait[0].revents != 0) Accept(listener);
    }
    if (now - swept >= kSweepMs) {
      Sweep();
      swept = now;
    }
    if (now - looked >= hang_ms / kBeats) {
      EndHung();
      looked = now;
    }
    if (held.empty() && peers.empty() && now - idle_since >= idle_exit_ms) ending = true;
  }
}

int Fail(const char* what) {
  fprintf(stderr, "byref-holder: %s: %s\n", what, strerror(errno));
  return 1;
}

// False if another one runs.
bool BeTheOnlyOne(int fd) {
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) return false;
  const std::string pid = std::to_string(getpid()) + "\n";
  // It is for messages only, and a full disk may refuse it.
  if (ftruncate(fd, 0) < 0 || write(fd, pid.data(), pid.size()) < 0) Log(kWarn, "", "the lock can't be signed");
  return true;
}

int Listen() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // Left by a process that was killed; the lock says that none is alive.
  unlink(socket_path.c_str());
  umask(0177);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return -1;
  return listen(fd, 511) < 0 ? -1 : fd;
}

const char* Setting(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// As many descriptors as the machine allows.
void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Main(const char* at) {
  root = at;
  socket_path = Setting("BYREF_SOCKET");
  version = Setting("BYREF_VERSION");
  if (*Setting("BYREF_IDLE_EXIT_MS") != '\0') idle_exit_ms = atoll(Setting("BYREF_IDLE_EXIT_MS"));
  if (atoll(Setting("BYREF_HANG_MS")) > 0) hang_ms = atoll(Setting("BYREF_HANG_MS"));
  const char* lock = Setting("BYREF_LOCK");
  const int lock_fd = open(lock, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (lock_fd < 0) return Fail(lock);
  // Two were started at once, which is no error.
  if (!BeTheOnlyOne(lock_fd)) {
    Log(kInfo, "", "another one runs already: nothing to do");
    return 0;
  }
  RaiseFileLimit();
  // Ending this process to free memory would cost many programs more: others go first.
  std::ofstream("/proc/self/oom_score_adj") << "-900";
  sigset_t asked;
  sigemptyset(&asked);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&asked, signal);
  sigprocmask(SIG_BLOCK, &asked, nullptr);
  const int signals = signalfd(-1, &asked, SFD_CLOEXEC);
  const int listener = Listen();
  if (signals < 0 || listener < 0) return Fail(socket_path.c_str());
  Log(kInfo, ",\"root\":" + Quoted(root), "holder ready");
  Serve(listener, signals);
  Log(kInfo, "", "ending");
  unlink(socket_path.c_str());
  return 0;
}

}  // namespace
}  // namespace byref

int main(int argc, char** argv) {
  if (argc == 2) return byref::Main(argv[1]);
  fputs("usage: byref-holder ROOT\n", stderr);
  return 2;
}
