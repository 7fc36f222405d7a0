// The commands. Each does its work over a Session and returns an error that names the next step.
#pragma once

#include "async/task.h"
#include "base/result.h"
#include "cli/session.h"

namespace perigee::cli {

async::Task<Result<void>> run_up(Session& session);
async::Task<Result<void>> run_down(Session& session);
async::Task<Result<void>> run_doctor(Session& session);  // and its --self-test
async::Task<Result<void>> run_launch(Session& session);
async::Task<Result<void>> run_deploy(Session& session);
async::Task<Result<void>> run_status(Session& session);
async::Task<Result<void>> run_logs(Session& session);
async::Task<Result<void>> run_destroy(Session& session);
async::Task<Result<void>> run_checks_list(Session& session);
async::Task<Result<void>> run_apps_list(Session& session);
async::Task<Result<void>> run_nodes_token(Session& session);
async::Task<Result<void>> run_nodes_tokens(Session& session);
async::Task<Result<void>> run_nodes_revoke(Session& session);
async::Task<Result<void>> run_explain(Session& session);
async::Task<Result<void>> run_config_show(Session& session);
async::Task<Result<void>> run_config_validate(Session& session);
async::Task<Result<void>> run_egress_show(Session& session);
async::Task<Result<void>> run_egress_set(Session& session);
async::Task<Result<void>> run_ips_list(Session& session);
async::Task<Result<void>> run_ips_allocate_v4(Session& session);
async::Task<Result<void>> run_ips_allocate_v6(Session& session);
async::Task<Result<void>> run_ips_release(Session& session);
async::Task<Result<void>> run_certs_list(Session& session);
async::Task<Result<void>> run_certs_show(Session& session);
async::Task<Result<void>> run_certs_add(Session& session);
async::Task<Result<void>> run_certs_import(Session& session);
async::Task<Result<void>> run_certs_check(Session& session);
async::Task<Result<void>> run_certs_remove(Session& session);

async::Task<Result<void>> run_machine_list(Session& session);
async::Task<Result<void>> run_machine_status(Session& session);
// start, stop, restart, suspend, cordon or uncordon, as options().verb says.
async::Task<Result<void>> run_machine_act(Session& session);
async::Task<Result<void>> run_machine_destroy(Session& session);
async::Task<Result<void>> run_machine_wait(Session& session);
async::Task<Result<void>> run_machine_run(Session& session);
async::Task<Result<void>> run_machine_clone(Session& session);
async::Task<Result<void>> run_machine_update(Session& session);
async::Task<Result<void>> run_machine_lease(Session& session);     // list or clear
async::Task<Result<void>> run_machine_metadata(Session& session);  // list, set or unset

// A process in a machine; its exit status becomes the command's own.
async::Task<Result<void>> run_machine_exec(Session& session);
async::Task<Result<void>> run_console(Session& session);
async::Task<Result<void>> run_machine_kill(Session& session);
async::Task<Result<void>> run_machine_ps(Session& session);
async::Task<Result<void>> run_machine_console_log(Session& session);

async::Task<Result<void>> run_volumes_list(Session& session);
async::Task<Result<void>> run_volumes_show(Session& session);
async::Task<Result<void>> run_volumes_create(Session& session);
async::Task<Result<void>> run_volumes_extend(Session& session);
async::Task<Result<void>> run_volumes_destroy(Session& session);
async::Task<Result<void>> run_snapshots_list(Session& session);
async::Task<Result<void>> run_snapshots_create(Session& session);
async::Task<Result<void>> run_snapshots_destroy(Session& session);

async::Task<Result<void>> run_secrets_set(Session& session);
async::Task<Result<void>> run_secrets_import(Session& session);
async::Task<Result<void>> run_secrets_unset(Session& session);
async::Task<Result<void>> run_secrets_list(Session& session);
async::Task<Result<void>> run_secrets_deploy(Session& session);
async::Task<Result<void>> run_secrets_rotate_key(Session& session);
async::Task<Result<void>> run_registry_login(Session& session);
async::Task<Result<void>> run_registry_logout(Session& session);
async::Task<Result<void>> run_registry_list(Session& session);

// "2/3 passing"; empty without checks.
std::string tally(const std::vector<client::CheckInfo>& checks);

// Lines on what a machine uses: CPU and memory of its guest and its VMM; none while it rests.
std::vector<std::string> usage_lines(const json::Value& usage);

// A deploy of `app` with what `config` and the options say; used by launch too.
async::Task<Result<void>> deploy(Session& session, AppName app, config::AppConfig config);
// Prints a deploy's events until it ends; its error if it failed.
async::Task<Result<void>> watch_release(Session& session, client::Client& api, AppName app,
                                        std::int64_t version);
// Creates the app unless it exists.
async::Task<Result<void>> ensure_app(Session& session, AppName app);

}  // namespace perigee::cli
