// The simulated fleet, for `./dev soak fleet` in full and for `./dev test` at a tenth of the size:
//
//   perigee-fleet-sim growth full|tenth FILE           what a change costs in fleets of several
//   sizes
//                                                      up to that one, into FILE
//   perigee-fleet-sim courses full|tenth COUNT FIRST   partitions and crashes in one of that size,
//                                                      COUNT seeds from FIRST
//
// Exit status 1: something was wrong.
#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "fleet_sim/course.h"
#include "fleet_sim/growth.h"
#include "sys/usage.h"

namespace perigee::fleet_sim {
namespace {

constexpr std::uint64_t kMostSeeds = 1'000'000;

struct Form {
  Size size;
  int routers;             // that are simulated whole
  std::vector<int> parts;  // of the size, where growth is measured
};

const Form kFull{.size = {.nodes = 1000, .cities = 200, .machines = 100'000},
                 .routers = 8,
                 .parts = {10, 4, 2, 1}};
const Form kTenth{
    .size = {.nodes = 100, .cities = 20, .machines = 10'000}, .routers = 4, .parts = {4, 1}};

Result<void> save(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return fail(errno_error(errno, "write " + path));
  fmt::print(file, "{}\n", text);
  if (std::fclose(file) != 0) return fail(errno_error(errno, "write " + path));
  return {};
}

int growth(const Form& form, const std::string& path) {
  std::vector<Cost> costs;
  for (const int part : form.parts) {
    costs.push_back(measure({.nodes = form.size.nodes / part,
                             .cities = form.size.cities / part,
                             .machines = form.size.machines / part}));
  }
  fmt::print("{}", table(costs));
  const std::vector<std::string> wrong = excesses(costs.front(), costs.back());
  for (const std::string& each : wrong) fmt::print("TOO MUCH: {}\n", each);
  const Result<void> saved = save(path, to_json(costs).dump());
  if (!saved) fmt::print(stderr, "{}\n", saved.error().context);
  return wrong.empty() && saved ? 0 : 1;
}

int courses(const Form& form, std::uint64_t count, std::uint64_t first) {
  int failed = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Duration start = sys::thread_cpu_time();
    const Outcome outcome = run_course(form.size, seed, form.routers);
    const bool good = outcome.wrong.empty();
    fmt::print("seed {}: {}; {} machines were made anew; {} s of CPU time\n", seed,
               good ? "all is as it is to be" : "WRONG", outcome.machines_made,
               to_ms(sys::thread_cpu_time() - start) / 1000);
    for (const std::string& each : outcome.wrong) fmt::print("  {}\n", each);
    std::fflush(stdout);
    failed += good ? 0 : 1;
  }
  if (failed > 0) fmt::print("{} of {} seeds went wrong\n", failed, count);
  return failed == 0 ? 0 : 1;
}

int usage() {
  fmt::print(stderr,
             "usage: perigee-fleet-sim growth full|tenth FILE | courses full|tenth COUNT FIRST\n");
  return 2;
}

int run(const std::vector<std::string>& arguments) {
  set_log_level(LogLevel::error);
  if (arguments.size() < 3 || (arguments[1] != "full" && arguments[1] != "tenth")) return usage();
  const Form& form = arguments[1] == "full" ? kFull : kTenth;
  if (arguments[0] == "growth" && arguments.size() == 3) return growth(form, arguments[2]);
  if (arguments[0] != "courses" || arguments.size() != 4) return usage();
  const auto count = parse_uint(arguments[2], kMostSeeds);
  const auto first = parse_uint(arguments[3], kMostSeeds);
  return count && first ? courses(form, *count, *first) : usage();
}

}  // namespace
}  // namespace perigee::fleet_sim

int main(int argc, char** argv) {
  return perigee::fleet_sim::run({argv + 1, argv + argc});
}
