#include "model/signals.h"

#include <array>
#include <utility>

#include "base/text.h"

namespace perigee::model {
namespace {

// signal(7), on x86-64. Numbers rather than <csignal>'s macros: they are the guest's.
constexpr std::array<std::pair<std::string_view, int>, 34> kSignals{{
    {"HUP", 1},   {"INT", 2},   {"QUIT", 3},    {"ILL", 4},   {"TRAP", 5},    {"ABRT", 6},
    {"IOT", 6},   {"BUS", 7},   {"FPE", 8},     {"KILL", 9},  {"USR1", 10},   {"SEGV", 11},
    {"USR2", 12}, {"PIPE", 13}, {"ALRM", 14},   {"TERM", 15}, {"STKFLT", 16}, {"CHLD", 17},
    {"CONT", 18}, {"STOP", 19}, {"TSTP", 20},   {"TTIN", 21}, {"TTOU", 22},   {"URG", 23},
    {"XCPU", 24}, {"XFSZ", 25}, {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28},  {"IO", 29},
    {"POLL", 29}, {"PWR", 30},  {"SYS", 31},    {"CLD", 17},
}};
constexpr int kLastStandardSignal = 31;

}  // namespace

Result<int> signal_number(std::string_view name) {
  std::string_view bare = name;
  if (iequals(bare.substr(0, 3), "SIG")) bare.remove_prefix(3);
  for (const auto& [known, number] : kSignals) {
    if (iequals(known, bare)) return number;
  }
  const auto number = parse_uint(name, kLastStandardSignal);
  if (number && *number > 0) return static_cast<int>(*number);
  return fail(Code::invalid_argument, "signal '{}' is not known (SIGINT, SIGTERM, SIGQUIT, …)",
              name);
}

std::string signal_name(int number) {
  for (const auto& [known, value] : kSignals) {
    if (value == number) return fmt::format("SIG{}", known);
  }
  return fmt::format("signal {}", number);
}

}  // namespace perigee::model
