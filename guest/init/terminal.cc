#include "init/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <utility>

namespace perigee::init {

Result<Terminal> open_terminal(WindowSize size, Newlines newlines) {
  constexpr int kFlags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  Terminal terminal;
  terminal.master = Fd(open("/dev/ptmx", kFlags | O_NONBLOCK));
  const int unlocked = 0;
  if (!terminal.master || ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0) {
    return fail_errno("terminal: /dev/ptmx", errno, "run it without a terminal");
  }
  terminal.slave = Fd(ioctl(terminal.master.get(), TIOCGPTPEER, kFlags));
  if (!terminal.slave) {
    return fail_errno("terminal: /dev/pts", errno, "run it without a terminal");
  }
  resize(terminal.master, size);
  termios modes{};
  if (newlines == Newlines::kAsWritten && tcgetattr(terminal.slave.get(), &modes) == 0) {
    modes.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    tcsetattr(terminal.slave.get(), TCSANOW, &modes);
  }
  return terminal;
}

void resize(const Fd& master, WindowSize size) {
  const winsize window{.ws_row = size.rows, .ws_col = size.cols, .ws_xpixel = 0, .ws_ypixel = 0};
  ioctl(master.get(), TIOCSWINSZ, &window);
}

}  // namespace perigee::init
