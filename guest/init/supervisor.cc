#include "init/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <variant>

#include "channel/codec.h"
#include "channel/limits.h"
#include "init/boot.h"
#include "init/listening.h"
#include "init/names.h"
#include "init/network.h"
#include "init/processes.h"
#include "init/stats.h"

namespace perigee::init {
namespace {

// All writers are dead when the app's pipes are drained: only a host that takes nothing can make
// that long. The report waits for its Ack; a new host needs time to find the machine.
constexpr std::int64_t kDrainMs = 10'000;
constexpr std::int64_t kReportAttachedMs = 5'000;
constexpr std::int64_t kReportDetachedMs = 15'000;
constexpr std::int64_t kRelinkMs = 1'000;
constexpr std::int64_t kNever = INT64_MAX;

Fd signal_descriptor() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGIO);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return Fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

void set_clock(std::int64_t unix_ns) {
  if (unix_ns < 0) {
    return;
  }
  const timespec now{.tv_sec = unix_ns / 1'000'000'000, .tv_nsec = unix_ns % 1'000'000'000};
  clock_settime(CLOCK_REALTIME, &now);
}

// Mixes fresh bytes into the kernel's pool and has its generator drawn from it anew, so that what
// was random before a suspend is not guessed from the snapshot (random(4)).
void reseed(std::string_view entropy) {
  const Fd random(::open("/dev/urandom", O_WRONLY | O_CLOEXEC));
  if (!random || entropy.size() != channel::kEntropyBytes) {
    return;
  }
  // A rand_pool_info: two numbers (bits of entropy, bytes), then the bytes.
  std::array<int, 2 + channel::kEntropyBytes / sizeof(int)> request{};
  request[0] = static_cast<int>(entropy.size()) * 8;
  request[1] = static_cast<int>(entropy.size());
  std::memcpy(&request[2], entropy.data(), entropy.size());
  ioctl(random.get(), RNDADDENTROPY, request.data());
  ioctl(random.get(), RNDRESEEDCRNG);
}

Command command_of(const channel::Configure& configure) {
  Command command;
  command.argv = configure.argv;
  command.env = configure.env;
  command.user = configure.user;
  command.directory = configure.workdir;
  if (configure.tty) {
    command.terminal = WindowSize{};
    command.newlines = Newlines::kAsWritten;
  }
  return command;
}

std::string report_on(channel::Topic topic) {
  switch (topic) {
    case channel::Topic::kListening:
      return channel::encode(find_listening());
    case channel::Topic::kStats:
      return channel::encode(read_stats());
    case channel::Topic::kProcesses:
      return channel::encode(find_processes());
  }
  return {};
}

}  // namespace

Supervisor::Supervisor(Link link)
    : link_(std::move(link)),
      session_(monotonic_ms()),
      execs_(session_),
      signals_(signal_descriptor()) {
  link_.signal_changes(true);
}

void Supervisor::run() {
  check_link(0);
  while (phase_ != Phase::kDone) {
    turn();
  }
  volumes_.close();
  root_.close();
}

void Supervisor::turn() {
  const bool takes_output = session_.takes_output(monotonic_ms());
  const short link_events = static_cast<short>(POLLIN | (session_.pending().empty() ? 0 : POLLOUT));
  constexpr std::size_t kOwn = 4;
  std::array<pollfd, kOwn + Execs::kMaxPolled> fds = {
      pollfd{signals_.get(), POLLIN, 0},
      pollfd{linked_ ? link_.fd() : -1, link_events, 0},
      pollfd{takes_output ? app_.out.get() : -1, POLLIN, 0},
      pollfd{takes_output ? app_.err.get() : -1, POLLIN, 0},
  };
  const std::span<pollfd> sessions = execs_.watch(std::span(fds).subspan<kOwn>());
  if (poll(fds.data(), kOwn + sessions.size(), timeout_ms()) < 0) {
    return;
  }
  execs_.serve(sessions);
  if (fds[2].revents != 0) {
    read_output(app_.out, channel::Stream::kStdout);
  }
  if (fds[3].revents != 0 && session_.takes_output(monotonic_ms())) {
    read_output(app_.err, channel::Stream::kStderr);
  }
  if (fds[0].revents != 0) {
    read_signals();
  }
  check_link(fds[1].revents);
  if (phase_ == Phase::kDraining && (drained() || monotonic_ms() >= phase_deadline_ms())) {
    finish_drain();
  }
  write_link();
  if (phase_ == Phase::kReporting &&
      (session_.acknowledged() || monotonic_ms() >= phase_deadline_ms())) {
    enter(Phase::kDone);
  }
}

std::int64_t Supervisor::phase_deadline_ms() const {
  switch (phase_) {
    case Phase::kDraining:
      return phase_since_ms_ + kDrainMs;
    case Phase::kReporting:
      return phase_since_ms_ + (session_.attached() ? kReportAttachedMs : kReportDetachedMs);
    default:
      return kNever;
  }
}

int Supervisor::timeout_ms() const {
  const std::int64_t now = monotonic_ms();
  std::int64_t until = std::min(phase_deadline_ms(), linked_ ? kNever : now + kRelinkMs);
  if (!session_.takes_output(now)) {
    until = std::min(until, session_.drops_from_ms().value_or(kNever));
  }
  return until == kNever ? -1 : static_cast<int>(std::max<std::int64_t>(until - now, 0));
}

void Supervisor::enter(Phase phase) {
  phase_ = phase;
  phase_since_ms_ = monotonic_ms();
}

void Supervisor::read_signals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    // Which signal it was does not matter: they merge, so every cause is looked at.
  }
  reap();
}

void Supervisor::reap() {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    if (pid == app_.pid && phase_ == Phase::kRunning) {
      app_ended(status);
    } else {
      execs_.child_ended(pid, status);
    }
  }
}

void Supervisor::app_ended(int status) {
  exit_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  exit_.code = exit_.signal != 0 ? 128 + exit_.signal : WEXITSTATUS(status);
  // SAFETY: PID 1 ends everyone else: the machine lives as long as its app.
  kill(-1, SIGKILL);
  execs_.app_ended();
  enter(Phase::kDraining);
}

void Supervisor::finish_drain() {
  channel::Exited report;
  report.exit_code = exit_.code;
  report.signal = static_cast<std::uint32_t>(exit_.signal);
  report.oom_killed = oom_.killed(app_.pid, exit_.code);
  session_.exited(report);
  app_.out.reset();
  app_.err.reset();
  enter(Phase::kReporting);
}

// `events` is what poll() said about the port.
void Supervisor::check_link(short events) {
  if (linked_ && events != 0) {
    read_link();
  }
  const bool connected = link_.connected();
  if (connected == linked_) {
    return;
  }
  linked_ = connected;
  if (!connected) {
    session_.host_gone(monotonic_ms());
    execs_.close_all();
    link_.signal_changes(true);
    linked_ = link_.connected();  // it may have come back before we asked: then no signal comes
  }
  if (linked_) {
    link_.signal_changes(false);
  }
}

void Supervisor::read_link() {
  std::array<char, 16 * 1024> buffer;
  while (const std::size_t count = link_.read(buffer)) {
    session_.feed({buffer.data(), count});
    while (auto message = session_.next()) {
      end_sessions_of_earlier_host();
      handle(*message);
    }
    end_sessions_of_earlier_host();
  }
}

// Also where one host has followed another without init seeing the port closed between.
void Supervisor::end_sessions_of_earlier_host() {
  if (std::exchange(attachment_, session_.attachments()) != session_.attachments()) {
    execs_.close_all();
  }
}

void Supervisor::write_link() {
  while (linked_ && !session_.pending().empty()) {
    const std::size_t count = link_.write(session_.pending());
    if (count == 0) {
      return;
    }
    session_.wrote(count);
  }
}

void Supervisor::handle(channel::HostMessage& message) {
  if (auto* to_run = std::get_if<channel::Configure>(&message)) {
    configure(*to_run);
    for (channel::VolumeMount& volume : to_run->volumes) {
      explicit_bzero(volume.key.data(), volume.key.size());
    }
  } else if (const auto* to_send = std::get_if<channel::Signal>(&message)) {
    forward(to_send->signo);
  } else if (const auto* time = std::get_if<channel::Time>(&message)) {
    set_clock(time->unix_ns);
  } else if (const auto* resumed = std::get_if<channel::Resumed>(&message)) {
    set_clock(resumed->unix_ns);
    reseed(resumed->entropy);
  } else if (const auto* question = std::get_if<channel::Inquire>(&message)) {
    session_.send_unkept(report_on(question->topic));
  } else if (std::holds_alternative<channel::Shutdown>(message)) {
    shutdown();
  } else {
    execs_.handle(message);
  }
}

// A host that attaches to a machine that already runs may send its Configure again: ignored.
void Supervisor::configure(const channel::Configure& message) {
  if (phase_ != Phase::kWaiting) {
    return;
  }
  if (const Status done = start(message); !done) {
    console_line(done.error().message);
    session_.failed(done.error().message);
    enter(Phase::kReporting);
    return;
  }
  session_.started(static_cast<std::uint32_t>(app_.pid));
  execs_.app_started(message);
  enter(Phase::kRunning);
  write_link();
}

Status Supervisor::start(const channel::Configure& message) {
  const bool encrypted =
      std::ranges::any_of(message.volumes, [](const auto& each) { return !each.key.empty(); });
  if (auto done = settle_encryption_modules(encrypted ? Encryption::kUsed : Encryption::kUnused);
      !done) {
    return done;
  }
  if (auto done = root_.enter(message.layers, message.upper_disk); !done) {
    return done;
  }
  if (auto done = volumes_.open(message.volumes, message.user); !done) {
    return done;
  }
  if (auto done =
          configure_network(message.addresses, message.gateways, message.gateway_mac, message.mtu);
      !done) {
    return done;
  }
  if (auto done = configure_names(message); !done) {
    return done;
  }
  Result<Child> app = spawn(command_of(message));
  if (!app) {
    return std::unexpected(app.error());
  }
  app_ = std::move(*app);
  return {};
}

void Supervisor::shutdown() {
  switch (phase_) {
    case Phase::kRunning:
      kill(-1, SIGKILL);
      break;
    case Phase::kWaiting:
    case Phase::kReporting:
      enter(Phase::kDone);
      break;
    default:
      break;
  }
}

void Supervisor::forward(std::uint32_t signo) {
  if (phase_ != Phase::kRunning || signo == 0 || signo >= NSIG) {
    return;
  }
  // The app is the leader of its own group; what can't be caught is sent to all of the group.
  kill(signo == SIGKILL ? -app_.pid : app_.pid, static_cast<int>(signo));
}

void Supervisor::read_output(Fd& pipe, channel::Stream stream) {
  std::array<char, channel::kMaxOutputChunk> buffer;
  const ssize_t count = read(pipe.get(), buffer.data(), buffer.size());
  if (count > 0) {
    session_.output(stream, {buffer.data(), static_cast<std::size_t>(count)});
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    pipe.reset();
  }
}

}  // namespace perigee::init
