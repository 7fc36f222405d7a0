#include "lab/city_process.h"

#include <fcntl.h>

#include <filesystem>

#include "lab/limits.h"
#include "sys/fd.h"

namespace perigee::lab {
namespace {

sys::Spawn in_city(const Plan& plan, const CityPlan& city, std::vector<std::string> argv,
                   Environment more) {
  sys::Spawn spawn{.argv = in_namespace(city.node.network_namespace, std::move(argv))};
  more.emplace_back("PERIGEE_ROOT", city.root);
  spawn.env = lab_environment(plan, more);
  spawn.directory = "/";
  return spawn;
}

}  // namespace

async::Task<Result<std::string>> ask_city(sys::Host& host, const Plan& plan, const CityPlan& city,
                                          std::vector<std::string> argv, std::string input) {
  const sys::Spawn spawn = in_city(plan, city, std::move(argv), {});
  CO_TRY(sys::Completed done,
         co_await host.processes.run(spawn, std::move(input), host.loop.deadline_in(kNodeStart)));
  if (!done.status.success()) {
    co_return fail(sys::helper_failed(spawn, done).with(city.city.code));
  }
  co_return std::move(done.out);
}

async::Task<Result<void>> start_in_city(sys::Host& host, const Plan& plan, const CityPlan& city,
                                        std::vector<std::string> argv, std::string log_path,
                                        Environment more) {
  CO_TRY_VOID(co_await host.disk.make_directories(
      std::filesystem::path(log_path).parent_path().string(), 0755));
  CO_TRY(const sys::Fd log,
         sys::own(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640),
                  "open " + log_path));
  sys::Spawn spawn = in_city(plan, city, std::move(argv), std::move(more));
  spawn.descriptors = {{log.get(), 1}, {log.get(), 2}};
  spawn.new_session = true;
  CO_TRY(const auto process, host.processes.spawn(spawn));
  co_return Result<void>();
}

}  // namespace perigee::lab
