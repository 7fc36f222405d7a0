#include "lab/bring_up.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "async/combine.h"
#include "base/text.h"
#include "lab/limits.h"
#include "lab/wan_client.h"
#include "sys/netns.h"

namespace perigee::lab {
namespace {

constexpr std::string_view kMarkName = "PERIGEE_LAB_PART";
constexpr Duration kPoll = 20ms;
constexpr std::size_t kShownLogBytes = 1000;

async::Task<Result<void>> run_ip(sys::Host& host, std::vector<std::string> words,
                                 std::string input) {
  sys::Spawn spawn{.argv = {"ip"}};
  spawn.argv.insert(spawn.argv.end(), words.begin(), words.end());
  CO_TRY(const sys::Completed done,
         co_await host.processes.run(spawn, std::move(input), host.loop.deadline_in(kIpTimeout)));
  if (!done.status.success()) co_return fail(sys::helper_failed(spawn, done));
  co_return Result<void>();
}

async::Task<Result<void>> make_namespace(sys::Host& host, std::string name) {
  if (std::filesystem::exists(sys::network_namespace_path(name))) co_return Result<void>();
  co_return co_await run_ip(host, {"netns", "add", name}, "");
}

async::Task<Result<void>> set_up_interface(sys::Host& host, const Plan& plan, Endpoint endpoint) {
  co_return co_await run_ip(host, {"-netns", endpoint.network_namespace, "-batch", "-"},
                            interface_setup(plan, endpoint));
}

Result<void> first_failure(const std::vector<Result<void>>& results) {
  for (const Result<void>& result : results) TRY_VOID(result);
  return {};
}

std::string last_words(const std::string& path) {
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.size() > kShownLogBytes) text.erase(0, text.size() - kShownLogBytes);
  return std::string(trim(text));
}

async::Task<void> until_it_answers(sys::Host& host, const Plan& plan) {
  while (!co_await ask_emulator(host, plan, {})) co_await host.loop.sleep(kPoll);
}

async::Task<void> until_it_ends(sys::Process& process) {
  co_await process.wait();
}

}  // namespace

std::string process_mark(std::string_view lab_id) {
  return fmt::format("{}={}", kMarkName, lab_id);
}

Environment lab_environment(const Plan& plan, const Environment& more) {
  Environment out;
  const auto is_set_anew = [&](std::string_view name) {
    return name == kMarkName || std::ranges::count(more, name, &Environment::value_type::first) > 0;
  };
  for (char** each = environ; *each != nullptr; ++each) {
    const auto parts = split_once(*each, '=');
    if (parts && !is_set_anew(parts->first)) out.emplace_back(parts->first, parts->second);
  }
  out.insert(out.end(), more.begin(), more.end());
  out.emplace_back(kMarkName, plan.id);
  return out;
}

std::vector<std::string> in_namespace(const std::string& network_namespace,
                                      std::vector<std::string> argv) {
  argv.insert(argv.begin(),
              {"nsenter", "--net=" + sys::network_namespace_path(network_namespace), "--"});
  return argv;
}

async::Task<Result<void>> make_namespaces(sys::Host& host, const Plan& plan) {
  std::vector<async::Task<Result<void>>> steps;
  for (const Endpoint& each : plan.endpoints()) {
    steps.push_back(make_namespace(host, each.network_namespace));
  }
  co_return first_failure(co_await async::all_of(host.loop, std::move(steps), kParallelSteps));
}

async::Task<Result<void>> start_emulator(sys::Host& host, const Plan& plan, std::string program) {
  if (co_await ask_emulator(host, plan, {})) co_return Result<void>();
  CO_TRY(const sys::Fd log,
         sys::own(::open(plan.wan_log().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640),
                  "open " + plan.wan_log()));
  sys::Spawn spawn{.argv = {std::move(program), "lab", "wan", "--dir", plan.directory}};
  spawn.env = lab_environment(plan, {});
  spawn.directory = "/";
  spawn.descriptors = {{log.get(), 1}, {log.get(), 2}};
  spawn.new_session = true;
  CO_TRY(const auto process, host.processes.spawn(spawn));
  const auto winner = co_await async::until(
      host.loop, host.loop.now() + kEmulatorStart,
      async::first_of(host.loop, until_it_answers(host, plan), until_it_ends(*process)));
  if (winner == async::Winner::first) co_return Result<void>();
  co_return fail(Code::unavailable, "the lab's network did not start{}; {} says:\n{}",
                 winner ? "" : " in time", plan.wan_log(), last_words(plan.wan_log()));
}

async::Task<Result<void>> set_up_interfaces(sys::Host& host, const Plan& plan) {
  std::vector<async::Task<Result<void>>> steps;
  for (const Endpoint& each : plan.endpoints()) {
    steps.push_back(set_up_interface(host, plan, each));
  }
  co_return first_failure(co_await async::all_of(host.loop, std::move(steps), kParallelSteps));
}

}  // namespace perigee::lab
