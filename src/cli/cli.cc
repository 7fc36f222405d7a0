#include "cli/cli.h"

#include <algorithm>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/fleet_commands.h"
#include "cli/lab_commands.h"
#include "cli/store_commands.h"

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

using Command = async::Task<Result<void>> (*)(Session&);

struct Entry {
  Verb verb;
  Command run;
};

constexpr Entry kCommands[] = {
    {Verb::up, run_up},
    {Verb::down, run_down},
    {Verb::doctor, run_doctor},
    {Verb::launch, run_launch},
    {Verb::deploy, run_deploy},
    {Verb::status, run_status},
    {Verb::logs, run_logs},
    {Verb::destroy, run_destroy},
    {Verb::apps_list, run_apps_list},
    {Verb::nodes_token, run_nodes_token},
    {Verb::nodes_tokens, run_nodes_tokens},
    {Verb::nodes_revoke, run_nodes_revoke},
    {Verb::explain, run_explain},
    {Verb::config_show, run_config_show},
    {Verb::config_validate, run_config_validate},
    {Verb::egress_show, run_egress_show},
    {Verb::egress_set, run_egress_set},
    {Verb::ips_list, run_ips_list},
    {Verb::ips_allocate_v4, run_ips_allocate_v4},
    {Verb::ips_allocate_v6, run_ips_allocate_v6},
    {Verb::ips_release, run_ips_release},
    {Verb::certs_list, run_certs_list},
    {Verb::certs_show, run_certs_show},
    {Verb::certs_add, run_certs_add},
    {Verb::certs_import, run_certs_import},
    {Verb::certs_check, run_certs_check},
    {Verb::certs_remove, run_certs_remove},
    {Verb::checks_list, run_checks_list},
    {Verb::machine_list, run_machine_list},
    {Verb::machine_status, run_machine_status},
    {Verb::machine_wait, run_machine_wait},
    {Verb::machine_start, run_machine_act},
    {Verb::machine_stop, run_machine_act},
    {Verb::machine_restart, run_machine_act},
    {Verb::machine_suspend, run_machine_act},
    {Verb::machine_cordon, run_machine_act},
    {Verb::machine_uncordon, run_machine_act},
    {Verb::machine_destroy, run_machine_destroy},
    {Verb::machine_run, run_machine_run},
    {Verb::machine_clone, run_machine_clone},
    {Verb::machine_update, run_machine_update},
    {Verb::machine_lease_list, run_machine_lease},
    {Verb::machine_lease_clear, run_machine_lease},
    {Verb::machine_metadata_list, run_machine_metadata},
    {Verb::machine_metadata_set, run_machine_metadata},
    {Verb::machine_metadata_unset, run_machine_metadata},
    {Verb::machine_exec, run_machine_exec},
    {Verb::machine_kill, run_machine_kill},
    {Verb::machine_ps, run_machine_ps},
    {Verb::machine_console_log, run_machine_console_log},
    {Verb::console, run_console},
    {Verb::volumes_list, run_volumes_list},
    {Verb::volumes_show, run_volumes_show},
    {Verb::volumes_create, run_volumes_create},
    {Verb::volumes_extend, run_volumes_extend},
    {Verb::volumes_destroy, run_volumes_destroy},
    {Verb::snapshots_list, run_snapshots_list},
    {Verb::snapshots_create, run_snapshots_create},
    {Verb::snapshots_destroy, run_snapshots_destroy},
    {Verb::secrets_set, run_secrets_set},
    {Verb::secrets_import, run_secrets_import},
    {Verb::secrets_list, run_secrets_list},
    {Verb::secrets_unset, run_secrets_unset},
    {Verb::secrets_deploy, run_secrets_deploy},
    {Verb::secrets_rotate_key, run_secrets_rotate_key},
    {Verb::registry_login, run_registry_login},
    {Verb::registry_logout, run_registry_logout},
    {Verb::registry_list, run_registry_list},
    {Verb::regions_list, run_regions_list},
    {Verb::regions_set, run_regions_set},
    {Verb::regions_add, run_regions_change},
    {Verb::regions_remove, run_regions_change},
    {Verb::scale_show, run_scale_show},
    {Verb::scale_count, run_scale_count},
    {Verb::nodes_list, run_nodes_list},
    {Verb::nodes_show, run_nodes_show},
    {Verb::nodes_cordon, run_nodes_act},
    {Verb::nodes_uncordon, run_nodes_act},
    {Verb::nodes_drain, run_nodes_act},
    {Verb::nodes_rotate_keys, run_nodes_act},
    {Verb::nodes_remove, run_nodes_remove},
    {Verb::lab_up, run_lab_up},
    {Verb::lab_down, run_lab_down},
    {Verb::lab_status, run_lab_status},
    {Verb::lab_cut, run_lab_change},
    {Verb::lab_heal, run_lab_change},
    {Verb::lab_degrade, run_lab_change},
    {Verb::lab_capture, run_lab_change},
    {Verb::lab_curl, run_lab_curl},
    {Verb::lab_exec, run_lab_exec},
    {Verb::lab_latency, run_lab_latency},
    {Verb::lab_load, run_lab_load},
    {Verb::lab_wan, run_lab_wan},
    {Verb::store_backup, run_store_backup},
    {Verb::store_restore, run_store_restore},
    {Verb::store_migrate, run_store_migrate},
    {Verb::version, run_version},
};

constexpr bool each_verb_once() {
  for (int i = 0; i <= static_cast<int>(Verb::version); ++i) {
    if (std::ranges::count(kCommands, static_cast<Verb>(i), &Entry::verb) != 1) return false;
  }
  return true;
}
static_assert(each_verb_once());

async::Task<Result<void>> run(Session& session) {
  return std::ranges::find(kCommands, session.options().verb, &Entry::verb)->run(session);
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
