// The commands of `perigee lab` that do something from a place in the lab: curl, exec.
#include <cstdlib>
#include <filesystem>

#include "cli/lab_commands.h"
#include "lab/bring_up.h"
#include "lab/folder.h"
#include "lab/visit.h"

namespace perigee::cli {
namespace {

// Runs it on this terminal; its exit status becomes ours.
async::Task<Result<void>> run_here(Session& session, sys::Spawn spawn) {
  spawn.descriptors = {{0, 0}, {1, 1}, {2, 2}};
  CO_TRY(const auto process, session.host().processes.spawn(spawn));
  const sys::ExitStatus status = co_await process->wait();
  if (status.kind != sys::ExitStatus::Kind::exited) {
    co_return fail(Code::internal, "{}: ended with {}", spawn.argv.front(), status.str());
  }
  session.set_exit_status(status.value);
  co_return Result<void>();
}

// `perigee` is this one, wherever it was started from.
std::string path_with_own_folder() {
  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
  const char* const path = std::getenv("PATH");
  return path == nullptr ? own : fmt::format("{}:{}", own, path);
}

}  // namespace

async::Task<Result<void>> run_lab_curl(Session& session) {
  const LabOptions& o = session.options().lab;
  CO_TRY(const lab::Lab found, co_await open_lab(session));
  CO_TRY(const lab::CityPlan* from, found.plan.city(o.from));
  CO_TRY(const lab::CityPlan* edge, found.plan.city(o.edge.empty() ? o.from : o.edge));
  std::vector<std::string> words = o.urls;
  words.insert(words.end(), o.command.begin(), o.command.end());
  CO_TRY(std::vector<std::string> argv, lab::curl_command(found.plan, *edge, words));
  argv.insert(argv.end(), {"--write-out", lab::phases_format(*from, *edge)});
  sys::Spawn spawn{.argv = lab::in_namespace(from->user.network_namespace, std::move(argv))};
  spawn.env = lab::lab_environment(found.plan, {});
  co_return co_await run_here(session, std::move(spawn));
}

async::Task<Result<void>> run_lab_exec(Session& session) {
  const LabOptions& o = session.options().lab;
  CO_TRY(const lab::Lab found, co_await open_lab(session));
  CO_TRY(const lab::CityPlan* city, found.plan.city(o.city));
  const lab::Endpoint& at = o.as_user ? city->user : city->node;
  sys::Spawn spawn{.argv = lab::in_namespace(at.network_namespace, o.command)};
  lab::Environment more{{"PATH", path_with_own_folder()}};
  if (!o.as_user) more.emplace_back("PERIGEE_ROOT", city->root);
  spawn.env = lab::lab_environment(found.plan, more);
  co_return co_await run_here(session, std::move(spawn));
}

}  // namespace perigee::cli
