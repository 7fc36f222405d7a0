#include "cli/cli.h"

#include "base/version.h"
#include "cli/commands.h"

namespace perigee::cli {
namespace {

constexpr std::size_t kPoolThreads = 4;

async::Task<Result<void>> run_version(Session& session) {
  if (session.options().json)
    print_json(json::object({{"version", kVersion}}));
  else
    print(fmt::format("perigee {}", kVersion));
  co_return Result<void>();
}

// Longer than 70 lines: one case for each verb.
async::Task<Result<void>> run(Session& session) {
  switch (session.options().verb) {
    case Verb::up:
      return run_up(session);
    case Verb::down:
      return run_down(session);
    case Verb::doctor:
      return run_doctor(session);
    case Verb::launch:
      return run_launch(session);
    case Verb::deploy:
      return run_deploy(session);
    case Verb::status:
      return run_status(session);
    case Verb::logs:
      return run_logs(session);
    case Verb::destroy:
      return run_destroy(session);
    case Verb::apps_list:
      return run_apps_list(session);
    case Verb::egress_show:
      return run_egress_show(session);
    case Verb::egress_set:
      return run_egress_set(session);
    case Verb::checks_list:
      return run_checks_list(session);
    case Verb::machine_list:
      return run_machine_list(session);
    case Verb::machine_status:
      return run_machine_status(session);
    case Verb::machine_start:
    case Verb::machine_stop:
    case Verb::machine_restart:
    case Verb::machine_suspend:
    case Verb::machine_cordon:
    case Verb::machine_uncordon:
      return run_machine_act(session);
    case Verb::volumes_list:
      return run_volumes_list(session);
    case Verb::volumes_show:
      return run_volumes_show(session);
    case Verb::volumes_create:
      return run_volumes_create(session);
    case Verb::volumes_extend:
      return run_volumes_extend(session);
    case Verb::volumes_destroy:
      return run_volumes_destroy(session);
    case Verb::snapshots_list:
      return run_snapshots_list(session);
    case Verb::snapshots_create:
      return run_snapshots_create(session);
    case Verb::snapshots_destroy:
      return run_snapshots_destroy(session);
    case Verb::console:
      return run_console(session);
    case Verb::machine_exec:
      return run_machine_exec(session);
    case Verb::machine_kill:
      return run_machine_kill(session);
    case Verb::machine_console_log:
      return run_machine_console_log(session);
    case Verb::secrets_set:
      return run_secrets_set(session);
    case Verb::secrets_import:
      return run_secrets_import(session);
    case Verb::secrets_list:
      return run_secrets_list(session);
    case Verb::secrets_unset:
      return run_secrets_unset(session);
    case Verb::secrets_deploy:
      return run_secrets_deploy(session);
    case Verb::secrets_rotate_key:
      return run_secrets_rotate_key(session);
    case Verb::version:
      break;
  }
  return run_version(session);
}

}  // namespace

int main(int argc, char** argv) {
  auto parsed = parse_options(argc, argv);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  auto host = sys::PosixHost::open(kPoolThreads);
  if (!host) {
    print_error(host.error());
    return info(host.error().code).exit_code;
  }
  Session session(**host, std::get<Options>(std::move(parsed)));
  const Result<void> result = (*host)->loop().run(run(session));
  if (result) return session.exit_status();
  print_error(result.error());
  return info(result.error().code).exit_code;
}

}  // namespace perigee::cli
