#include "bin/join_token.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/text.h"

namespace perigee::bin {
namespace {

constexpr std::size_t kMaxTokenLine = 4096;
constexpr std::string_view kStandardInput = "-";

Result<std::string> first_line(std::FILE* file, const std::string& name) {
  std::array<char, kMaxTokenLine> line{};
  if (std::fgets(line.data(), line.size(), file) != nullptr) {
    const std::string token(trim(line.data()));
    if (!token.empty()) return token;
  }
  return fail(Code::invalid_argument,
              "{}: its first line is to be a token of `perigee nodes token`", name);
}

Result<std::string> from_file(const std::string& path) {
  if (path == kStandardInput) {
    if (::isatty(STDIN_FILENO) == 1) std::fputs("Token: ", stderr);
    return first_line(stdin, "standard input");
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             std::fclose);
  if (!file) return fail(errno_error(errno, "read the token in " + path));
  return first_line(file.get(), path);
}

}  // namespace

std::string take_token_variable() {
  const char* const value = std::getenv(kJoinTokenVariable);
  std::string token = value == nullptr ? "" : value;
  ::unsetenv(kJoinTokenVariable);
  return token;
}

Result<std::string> read_join_token(const JoinOptions& options, const std::string& variable) {
  if (!options.token.empty() && !options.token_file.empty()) {
    return fail(Code::invalid_argument, "--token and --token-file: give one of them");
  }
  if (!options.token_file.empty()) return from_file(options.token_file);
  const std::string& token = options.token.empty() ? variable : options.token;
  if (!token.empty()) return token;
  return fail(
      Code::invalid_argument,
      "the token is missing: --token-file FILE (- for standard input) or {}; `perigee nodes "
      "token` on a node with control makes one",
      kJoinTokenVariable);
}

}  // namespace perigee::bin
