// up and down: this server's node. The only commands that act on the machine itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "async/combine.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/own_node.h"
#include "config/cli_config.h"
#include "config/node_config.h"
#include "supervisor/supervisor.h"

namespace perigee::cli {
namespace {

namespace fs = std::filesystem;

constexpr Duration kUpTimeout = 60s;  // a first start makes a trial boot
constexpr Duration kDownTimeout = 150s;
constexpr Duration kPoll = 50ms;
constexpr std::size_t kShownLogBytes = 1500;

std::string daemon_program() {
  std::error_code error;
  return (fs::read_symlink("/proc/self/exe", error).parent_path() / "perigeed").string();
}

std::string supervisor_log(const config::Paths& paths) {
  return paths.role_log("perigeed");
}

// The end of what the supervisor wrote, for an error.
std::string last_words(const config::Paths& paths) {
  std::ifstream file(supervisor_log(paths));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.size() > kShownLogBytes) text.erase(0, text.size() - kShownLogBytes);
  return std::string(trim(text));
}

Result<std::unique_ptr<sys::Process>> start_daemon(Session& session) {
  std::error_code error;
  fs::create_directories(session.paths().log, error);
  const std::string path = supervisor_log(session.paths());
  TRY(const sys::Fd log,
      sys::own(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640),
               "open " + path));
  sys::Spawn spawn{.argv = {daemon_program()}, .descriptors = {{log.get(), 1}, {log.get(), 2}}};
  spawn.directory = "/";
  spawn.new_session = true;
  return session.host().processes.spawn(spawn);
}

Result<void> save_cli_config(const config::Paths& paths, const config::NodeConfig& node) {
  const config::CliConfig saved = own_api(paths, node);
  std::error_code error;
  fs::create_directories(fs::path(paths.cli_file).parent_path(), error);
  const mode_t old = ::umask(077);
  std::ofstream file(paths.cli_file, std::ios::trunc);
  ::umask(old);
  file << config::render_cli_config(saved);
  if (!file.flush()) return fail(errno_error(errno, "write " + paths.cli_file));
  return {};
}

async::Task<bool> router_ready(Session& session) {
  const auto address = sys::Address::unix_path(session.paths().socket("router"));
  if (!address) co_return false;
  http::Client router(session.host(), {});
  http::RequestHead head{.method = "GET", .target = "/internal/v1/status", .headers = {}};
  head.headers.set("Host", "router");
  const auto answer = co_await router.request(*address, std::move(head), "",
                                              session.host().loop.deadline_in(kPoll * 20));
  co_return answer && (*answer)->head.status == 200;
}

async::Task<bool> worker_ready(client::Client& api, NodeId node) {
  const auto nodes = co_await api.nodes();
  if (!nodes) co_return false;
  co_return std::ranges::any_of(*nodes, [&](const client::NodeInfo& each) {
    return each.name == node.str() && each.state == "ready";
  });
}

// Until every role of this node answers.
async::Task<void> wait_ready(Session& session, const config::NodeConfig& node) {
  async::Loop& loop = session.host().loop;
  bool saved = false;
  for (;; co_await loop.sleep(kPoll)) {
    std::error_code error;
    if (!fs::exists(session.paths().token(), error)) continue;
    if (!saved) saved = save_cli_config(session.paths(), node).has_value();
    if (node.runs("router") && !co_await router_ready(session)) continue;
    if (!node.runs("control")) co_return;
    const auto api = session.api();
    if (!api) continue;
    const auto healthy = co_await (*api)->health();
    if (!healthy) continue;
    if (!node.runs("worker") || co_await worker_ready(**api, node.node)) co_return;
  }
}

// When the daemon that was started ends; never where it ran before.
async::Task<void> until_exit(async::Loop& loop, sys::Process* daemon) {
  if (daemon == nullptr) {
    co_await loop.sleep(2 * kUpTimeout);
  } else {
    co_await daemon->wait();
  }
}

async::Task<Result<void>> await_node(Session& session, const config::NodeConfig& node,
                                     sys::Process* daemon) {
  async::Loop& loop = session.host().loop;
  const auto winner = co_await async::until(
      loop, loop.now() + kUpTimeout,
      async::first_of(loop, wait_ready(session, node), until_exit(loop, daemon)));
  if (winner == async::Winner::first) co_return Result<void>();
  co_return fail(Code::unavailable,
                 "the node did not come up{}; {} says:\n{}\n(`perigee doctor` checks this server)",
                 winner ? "" : " in time", session.paths().log, last_words(session.paths()));
}

void print_up(Session& session, const config::NodeConfig& node, bool already) {
  if (session.options().json) {
    print_json(json::object({{"node", node.node.str()},
                             {"region", node.region.str()},
                             {"api", own_api(session.paths(), node).api_url},
                             {"http", json::strings(node.http_listen)},
                             {"https", json::strings(node.https_listen)},
                             {"already_up", already}}));
    return;
  }
  print(fmt::format("{} {} in region {}.", node.node, already ? "is already up" : "is up",
                    node.region));
  print(fmt::format("  API    {}", own_api(session.paths(), node).api_url));
  for (const std::string& at : node.http_listen)
    print(fmt::format("  http   http://APP.{}:{}/", node.domain, at.substr(at.rfind(':') + 1)));
  for (const std::string& at : node.https_listen)
    print(fmt::format("  https  https://APP.{}:{}/  (CA: {})", node.domain,
                      at.substr(at.rfind(':') + 1), session.paths().ca_certificate()));
  print(fmt::format("  logs   {}", session.paths().log));
}

}  // namespace

async::Task<Result<void>> run_up(Session& session) {
  if (::geteuid() != 0) {
    co_return fail(Code::permission_denied, "perigee up needs root (taps, VMs): run it with sudo");
  }
  CO_TRY(const config::NodeConfig node, config::load_node_config(session.paths().config_file));
  for (const std::string& warning : node.warnings)
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  const bool already = supervisor::running_supervisor(session.paths().run) != 0;
  std::unique_ptr<sys::Process> daemon;
  if (!already) {
    CO_TRY(daemon, start_daemon(session));
  }
  CO_TRY_VOID(co_await await_node(session, node, daemon.get()));
  print_up(session, node, already);
  co_return Result<void>();
}

async::Task<Result<void>> run_down(Session& session) {
  if (::geteuid() != 0) {
    co_return fail(Code::permission_denied, "perigee down needs root: run it with sudo");
  }
  sys::Spawn spawn{.argv = {daemon_program(), "down"}};
  if (session.options().keep_machines) spawn.argv.emplace_back("--keep-machines");
  CO_TRY(const sys::Completed done, co_await session.host().processes.run(
                                        spawn, "", session.host().loop.deadline_in(kDownTimeout)));
  if (!done.status.success()) co_return fail(sys::helper_failed(spawn, done));
  if (session.options().json) {
    print_json(json::object({{"down", true}, {"machines_kept", session.options().keep_machines}}));
  } else {
    print(session.options().keep_machines ? "The node is down; its machines run on."
                                          : "The node is down, its machines are stopped.");
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
