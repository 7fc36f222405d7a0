#include "cli/terminal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "exec/limits.h"

namespace perigee::cli {
namespace {

// Waits for input or for `stop`; the end for the latter.
Result<std::string> read_blocking(int stop) {
  std::array<pollfd, 2> fds{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{stop, POLLIN, 0}};
  while (::poll(fds.data(), fds.size(), -1) < 0) {
    if (errno != EINTR) return fail(errno_error(errno, "standard input"));
  }
  if (fds[1].revents != 0) return std::string();
  std::string bytes(exec::kMaxChunk, '\0');
  const ssize_t n = ::read(STDIN_FILENO, bytes.data(), bytes.size());
  if (n < 0) return fail(errno_error(errno, "standard input"));
  bytes.resize(static_cast<std::size_t>(n));
  return bytes;
}

}  // namespace

bool is_interactive() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

exec::WindowSize window_size() {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {.rows = size.ws_row, .cols = size.ws_col};
}

RawTerminal::RawTerminal() {
  termios modes{};
  if (::tcgetattr(STDIN_FILENO, &modes) != 0) return;
  before_ = modes;
  ::cfmakeraw(&modes);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
}

RawTerminal::~RawTerminal() {
  if (before_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*before_);
}

Result<StandardInput> StandardInput::open() {
  TRY(sys::Fd stop, sys::own(::eventfd(0, EFD_CLOEXEC), "eventfd"));
  return StandardInput(std::make_shared<const sys::Fd>(std::move(stop)));
}

StandardInput::~StandardInput() {
  if (stop_) ::eventfd_write(stop_->get(), 1);
}

async::Task<Result<std::string>> StandardInput::read(sys::Host& host) {
  co_return co_await host.pool.run(host.loop,
                                   [stop = stop_] { return read_blocking(stop->get()); });
}

Result<void> write_output(OutputTo to, std::string_view bytes) {
  const int fd = to == OutputTo::out ? STDOUT_FILENO : STDERR_FILENO;
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "write the output"));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace perigee::cli
