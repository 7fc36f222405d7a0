// The person's terminal, or whatever stands in its place: raw mode, its size, input as it comes.
#pragma once

#include <termios.h>

#include <memory>
#include <optional>
#include <string>

#include "exec/types.h"
#include "sys/fd.h"
#include "sys/host.h"

namespace perigee::cli {

// Whether both standard input and output are a terminal.
bool is_interactive();
exec::WindowSize window_size();

// Standard input in raw mode while this lives: keys go through as they are, ^C too.
class RawTerminal {
 public:
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  std::optional<termios> before_;  // nothing where it is no terminal
};

// Standard input, whatever it is (a file can't be waited for by the loop): read on the pool. A read
// that waits for a person ends when this goes away.
class StandardInput {
 public:
  static Result<StandardInput> open();
  StandardInput(StandardInput&&) = default;
  StandardInput& operator=(StandardInput&&) = delete;
  ~StandardInput();

  // The next bytes; empty: the end.
  async::Task<Result<std::string>> read(sys::Host& host);

 private:
  explicit StandardInput(std::shared_ptr<const sys::Fd> stop) : stop_(std::move(stop)) {}
  std::shared_ptr<const sys::Fd> stop_;  // an eventfd, shared with the pool's thread
};

// All of it to standard output or standard error. Blocks while nobody reads: then the process in
// the machine waits, too.
enum class OutputTo { out, err };
Result<void> write_output(OutputTo to, std::string_view bytes);

}  // namespace perigee::cli
