// Pseudo terminals: for a console session, and for an app that wants one as its output.
#pragma once

#include <cstdint>

#include "init/result.h"
#include "init/system.h"

namespace perigee::init {

struct WindowSize {
  std::uint16_t rows = 0;  // 0: unknown
  std::uint16_t cols = 0;
};

struct Terminal {
  Fd master;  // ours, non-blocking
  Fd slave;   // the process's
};

enum class Newlines : std::uint8_t {
  kTranslated,  // "\n" comes out as "\r\n", as a terminal in raw mode needs it
  kAsWritten,   // for output that ends in a log
};

// In the devpts of the app's root.
Result<Terminal> open_terminal(WindowSize size, Newlines newlines);
// The foreground process group gets SIGWINCH.
void resize(const Fd& master, WindowSize size);

}  // namespace perigee::init
