#include "sys/process.h"

#include <cstring>

#include "base/text.h"

namespace perigee::sys {

std::string ExitStatus::str() const {
  if (kind == Kind::exited) return fmt::format("exit code {}", value);
  if (kind == Kind::signaled) return fmt::format("signal {} ({})", value, ::strsignal(value));
  return "gone";
}

Error helper_failed(const Spawn& spawn, const Completed& completed) {
  constexpr std::size_t kTail = 600;
  std::string_view words = trim(completed.err.empty() ? completed.out : completed.err);
  if (words.size() > kTail) words.remove_prefix(words.size() - kTail);
  return Error::make(Code::internal, fmt::format("{} failed with {}: {}", spawn.argv.front(),
                                                 completed.status.str(), words));
}

}  // namespace perigee::sys
