#include "lab/nodes.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "config/paths.h"
#include "json/json.h"
#include "lab/city_process.h"
#include "lab/etcd.h"
#include "lab/limits.h"
#include "lab/visit.h"
#include "supervisor/supervisor.h"

namespace perigee::lab {
namespace {

constexpr Duration kPoll = 300ms;
constexpr int kApiPort = 4280;
constexpr int kJoinPort = 4281;
constexpr int kMeshPort = 51820;
constexpr int kNodeMemoryMib =
    640;  // for machines: an old and a new one of 256 MiB while deploying

config::Paths paths_of(const CityPlan& city) {
  return config::paths_under(city.root, "");
}

// The first: it makes the fleet, and the others join there.
const CityPlan& control_city(const Plan& plan) {
  return *plan.controls().front();
}

async::Task<Result<void>> write_configuration(sys::Host& host, const Plan& plan,
                                              const CityPlan& city) {
  const std::string path = paths_of(city).config_file;
  CO_TRY(const bool there, co_await host.disk.exists(path));
  if (there) co_return Result<void>();  // somebody may have changed it
  CO_TRY_VOID(co_await host.disk.make_directories(
      std::filesystem::path(path).parent_path().string(), 0755));
  co_return co_await host.disk.write_file(path, node_configuration(plan, city), 0644,
                                          sys::Durability::synced);
}

enum class Admits { nodes, controls };

async::Task<Result<std::string>> join_token(sys::Host& host, const Plan& plan,
                                            const Programs& programs, Admits admits) {
  std::vector<std::string> argv{
      programs.perigee, "nodes", "token", "--uses", fmt::format("{}", plan.cities.size()),
      "--json"};
  if (admits == Admits::controls) argv.emplace_back("--control");
  CO_TRY(const std::string text,
         co_await ask_city(host, plan, control_city(plan), std::move(argv)));
  CO_TRY_AS(const json::Value token, json::parse(text), "nodes token");
  co_return token.require_string("token");
}

// In the background: it joins, then it is the node.
async::Task<Result<void>> start_node(sys::Host& host, const Plan& plan, const CityPlan& city,
                                     const Programs& programs, const std::string& token) {
  CO_TRY_VOID(co_await write_configuration(host, plan, city));
  std::vector<std::string> argv{programs.perigeed, "--join",
                                fmt::format("{}:{}", control_city(plan).node.address, kJoinPort)};
  co_return co_await start_in_city(host, plan, city, std::move(argv),
                                   paths_of(city).role_log("perigeed"),
                                   {{"PERIGEE_JOIN_TOKEN", token}});
}

// What curl reads on its standard input: the API's token is nobody's who lists processes.
async::Task<Result<std::string>> api_call(sys::Host& host, const CityPlan& city,
                                          std::string_view path) {
  constexpr std::size_t kMaxToken = 4096;
  CO_TRY(const std::string token, co_await host.disk.read_file(paths_of(city).token(), kMaxToken));
  co_return fmt::format(
      "silent\nshow-error\nfail\nnoproxy = \"*\"\nurl = \"http://127.0.0.1:{}{}\"\n"
      "header = \"Authorization: Bearer {}\"\n",
      kApiPort, path, trim(token));
}

// Those that control calls ready.
async::Task<Result<std::set<std::string>>> ready_nodes(sys::Host& host, const Plan& plan) {
  const CityPlan& control = control_city(plan);
  CO_TRY(std::string call, co_await api_call(host, control, "/v1/nodes"));
  CO_TRY(const std::string text,
         co_await ask_city(host, plan, control, {"curl", "--config", "-"}, std::move(call)));
  CO_TRY_AS(const json::Value answer, json::parse(text), "the list of nodes");
  std::set<std::string> ready;
  const json::Value* nodes = answer.find("nodes");
  for (const json::Value& node : nodes == nullptr ? json::Array{} : nodes->items()) {
    CO_TRY(const std::string state, node.optional_string("state"));
    CO_TRY(std::string name, node.optional_string("name"));
    if (state == "ready") ready.insert(std::move(name));
  }
  co_return ready;
}

// What to look at where nodes are not ready.
Error not_ready(const Plan& plan, const std::set<std::string>& ready) {
  std::string missing;
  for (const CityPlan& city : plan.cities) {
    if (ready.contains(city.city.code)) continue;
    const char* const state = node_runs(city) ? "runs, but control does not see it" : "has ended";
    missing += fmt::format("\n  {} {}; its logs: {}", city.city.code, state, paths_of(city).log);
  }
  return Error::make(Code::unavailable, "not every node is ready in time:" + missing);
}

}  // namespace

bool node_runs(const CityPlan& city) {
  return supervisor::running_supervisor(paths_of(city).run) != 0;
}

std::string node_configuration(const Plan& plan, const CityPlan& city) {
  const std::string& address = city.node.address;
  return fmt::format(
             "# A node of the lab in {}, written by `perigee lab up`.\n"
             "node = \"{}\"\nregion = \"{}\"\nroles = [{}\"worker\", \"router\"]\n\n"
             "[fleet]\nendpoint = \"{}:{}\"\n\n"
             "[router]\nhttp = [\"{}:{}\"]\nhttps = [\"{}:{}\"]\ndomain = \"{}\"\n\n"
             "[worker]\nnetwork = \"{}\"\nmemory_mib = {}\nfirst_uid = {}\n",
             plan.directory, city.city.code, city.city.code,
             city.runs_control ? "\"control\", " : "", address, kMeshPort, address, kHttpPort,
             address, kHttpsPort, kDomain, city.machine_network, kNodeMemoryMib,
             city.first_vm_uid) +
         (city.runs_control ? store_configuration(plan, city) : "");
}

async::Task<Result<void>> start_control(sys::Host& host, const Plan& plan, Programs programs) {
  const CityPlan& city = control_city(plan);
  CO_TRY_VOID(co_await write_configuration(host, plan, city));
  const auto up = co_await ask_city(host, plan, city, {programs.perigee, "up"});
  if (!up) co_return fail(up.error());
  co_return Result<void>();
}

// With control or without, all at once.
async::Task<Result<void>> join_nodes(sys::Host& host, const Plan& plan, Programs programs) {
  for (const Admits kind : {Admits::controls, Admits::nodes}) {
    std::vector<const CityPlan*> missing;
    for (const CityPlan& city : plan.cities) {
      const bool is_kind = city.runs_control == (kind == Admits::controls);
      if (is_kind && !node_runs(city)) missing.push_back(&city);
    }
    if (missing.empty()) continue;
    CO_TRY(const std::string token, co_await join_token(host, plan, programs, kind));
    for (const CityPlan* city : missing) {
      CO_TRY_VOID_AS(co_await start_node(host, plan, *city, programs, token), city->city.code);
    }
  }
  co_return Result<void>();
}

async::Task<Result<void>> wait_for_nodes(sys::Host& host, const Plan& plan) {
  const MonotonicTime end = host.loop.now() + kNodesReady;
  for (;; co_await host.loop.sleep(kPoll)) {
    CO_TRY(const std::set<std::string> ready, co_await ready_nodes(host, plan));
    if (std::ranges::all_of(plan.cities,
                            [&](const CityPlan& city) { return ready.contains(city.city.code); })) {
      co_return Result<void>();
    }
    if (host.loop.now() > end) co_return fail(not_ready(plan, ready));
  }
}

}  // namespace perigee::lab
