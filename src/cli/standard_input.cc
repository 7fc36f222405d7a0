#include "cli/standard_input.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <optional>

namespace perigee::cli {
namespace {

constexpr std::size_t kMaxInput = 1024 * 1024;

// The terminal shows nothing of what is typed while this lives.
class Silence {
 public:
  Silence() : known_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!known_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~Silence() {
    if (known_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  termios before_{};
  bool known_;
};

}  // namespace

Result<std::string> read_standard_input() {
  std::string text;
  std::array<char, 16 * 1024> buffer{};
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "read standard input"));
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > kMaxInput) {
      return fail(Code::resource_exhausted, "standard input: more than {} bytes", kMaxInput);
    }
  }
}

Result<std::string> read_input_value() {
  TRY(std::string value, read_standard_input());
  if (value.ends_with('\n')) value.pop_back();
  return value;
}

Result<std::string> ask_line(std::string_view question, Echo echo) {
  std::optional<Silence> silence;
  if (echo == Echo::no) silence.emplace();
  std::cerr << question << std::flush;
  std::string line;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  if (silence) std::cerr << '\n';
  if (read) return line;
  return fail(Code::cancelled, "standard input ended before there was an answer");
}

}  // namespace perigee::cli
