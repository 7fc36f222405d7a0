#include "cli/lab_commands.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "async/combine.h"
#include "base/log.h"
#include "lab/bring_up.h"
#include "lab/emulator.h"
#include "lab/etcd.h"
#include "lab/folder.h"
#include "lab/limits.h"
#include "lab/nodes.h"
#include "lab/teardown.h"
#include "lab/wan_client.h"
#include "sys/real_time.h"

namespace perigee::cli {
namespace {

constexpr const char* kAllCities = "17";

Result<void> require_root() {
  if (::geteuid() == 0) return {};
  return fail(Code::permission_denied,
              "perigee lab needs root (network namespaces, taps, VMs): run it with sudo");
}

// The names of everything follow from it: one folder, one spelling.
std::string lab_directory(Session& session) {
  std::error_code error;
  const auto path =
      std::filesystem::weakly_canonical(session.options().lab.directory, error).string();
  return error ? session.options().lab.directory : path;
}

async::Task<Result<std::vector<lab::City>>> wanted_cities(Session& session) {
  const std::string& text = session.options().lab.cities;
  if (text.empty()) {
    const auto there = co_await lab::load_lab(session.host(), lab_directory(session));
    if (there) co_return there->file.cities;
    co_return lab::parse_cities(kAllCities);
  }
  CO_TRY(const bool is_file, co_await session.host().disk.exists(text));
  if (!is_file) co_return lab::parse_cities(text);
  CO_TRY(const std::string lines, co_await session.host().disk.read_file(text, lab::kMaxLabFile));
  auto cities = lab::parse_city_file(lines);
  if (!cities) co_return fail(std::move(cities).error().with(text));
  co_return cities;
}

// Its program: $PERIGEE_ETCD, or `etcd` of PATH; empty: there is none.
std::string etcd_program() {
  const char* const named = std::getenv("PERIGEE_ETCD");
  return sys::find_program(named == nullptr ? "etcd" : named).value_or("");
}

async::Task<Result<lab::ControlPlan>> wanted_control(Session& session,
                                                     std::vector<lab::City> cities) {
  const std::string& text = session.options().lab.control;
  if (text.empty()) {
    const auto there = co_await lab::load_lab(session.host(), lab_directory(session));
    if (there) co_return there->file.control;
  }
  co_return lab::plan_control(text, cities, etcd_program());
}

lab::Programs own_programs() {
  std::error_code error;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", error);
  return {.perigee = own.string(), .perigeed = (own.parent_path() / "perigeed").string()};
}

json::Value city_value(const lab::CityPlan& city) {
  return json::object({{"city", city.city.code},
                       {"node", city.node.address},
                       {"users", city.user.address},
                       {"node_runs", lab::node_runs(city)},
                       {"control", city.runs_control},
                       {"etcd_runs", lab::etcd_runs(city)},
                       {"root", city.root},
                       {"namespace", city.node.network_namespace},
                       {"user_namespace", city.user.network_namespace}});
}

json::Value lab_value(const lab::Plan& plan) {
  json::Value cities = json::array();
  for (const lab::CityPlan& each : plan.cities) cities.push(city_value(each));
  return json::object({{"directory", plan.directory},
                       {"id", plan.id},
                       {"simulated", lab::kRoundTripRule},
                       {"cities", std::move(cities)}});
}

std::string control_words(const lab::Plan& plan, const lab::CityPlan& city) {
  if (!city.runs_control) return "";
  if (plan.etcd.empty()) return "control, SQLite";
  return lab::etcd_runs(city) ? "control, etcd" : "control, etcd is down";
}

void print_cities(const lab::Plan& plan) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(plan.cities.size());
  for (const lab::CityPlan& each : plan.cities) {
    rows.push_back({each.city.code, each.node.address, each.user.address,
                    each.node.network_namespace, lab::node_runs(each) ? "runs" : "down",
                    control_words(plan, each)});
  }
  print_table({"CITY", "ADDRESS", "USERS", "NAMESPACE", "NODE", "CONTROL"}, rows);
}

// "fra-syd  cut", "iad-syd  400 ms, 2 % lost": of each pair once.
std::vector<std::string> changed_paths(const json::Value& stat) {
  std::vector<std::string> lines;
  const json::Value* paths = stat.find("paths");
  for (const json::Value& path : paths == nullptr ? json::Array{} : paths->items()) {
    const std::string from = text_of(path, "from");
    const std::string to = text_of(path, "to");
    if (from > to || path.optional_bool("as_mapped", true).value_or(true)) continue;
    const bool up = path.optional_bool("up", true).value_or(true);
    const auto number = [&](std::string_view key) {
      const json::Value* member = path.find(key);
      return member == nullptr ? 0.0 : member->number().value_or(0);
    };
    const std::string settings =
        fmt::format("{:.1f} ms, jitter {:.1f} ms, {:.2f} % lost, {}", number("rtt_ms"),
                    number("jitter_ms"), number("loss") * 100,
                    number("rate_mbit") > 0 ? fmt::format("{:.1f} Mbit/s", number("rate_mbit"))
                                            : std::string("no bound"));
    lines.push_back(fmt::format("{}-{}  {}", from, to, up ? settings : "cut"));
  }
  return lines;
}

std::string lateness_line(const json::Value& stat) {
  const json::Value* lateness = stat.find("lateness");
  if (lateness == nullptr) return {};
  const json::Value* worst = lateness->find("worst_ms");
  return fmt::format("Of {} frames {} came more than 1 ms late, the latest {:.2f} ms.",
                     lateness->optional_int("frames", 0).value_or(0),
                     lateness->optional_int("over_1ms", 0).value_or(0),
                     worst == nullptr ? 0 : worst->number().value_or(0));
}

Result<lab::WanRequest> wan_request(const Options& options) {
  const LabOptions& o = options.lab;
  using Action = lab::WanRequest::Action;
  lab::WanRequest request;
  if (!o.place.empty()) {
    TRY(const lab::Cut place, lab::parse_cut(o.place));
    request.a = place.a;
    request.b = place.b;
  }
  switch (options.verb) {
    case Verb::lab_cut:
      request.action = Action::cut;
      break;
    case Verb::lab_heal:
      request.action = Action::heal;
      break;
    case Verb::lab_degrade:
      request.action = Action::degrade;
      if (!o.rtt_ms && !o.jitter_ms && !o.loss && !o.rate_mbit) {
        return fail(Code::invalid_argument,
                    "degrade {}: give at least one of --loss, --rtt, --jitter, --rate", o.place);
      }
      request.rtt_ms = o.rtt_ms;
      request.jitter_ms = o.jitter_ms;
      if (o.loss) request.loss = *o.loss / 100;
      request.rate_mbit = o.rate_mbit;
      break;
    default:
      request.action = Action::capture;
      if (!o.file.empty()) request.file = std::filesystem::absolute(o.file).string();
  }
  return request;
}

// Says what it does and how long it took, where JSON is not wanted.
async::Task<Result<void>> in_step(Session& session, std::string words,
                                  async::Task<Result<void>> task) {
  if (session.options().json) co_return co_await std::move(task);
  Step step(session, words);
  CO_TRY_VOID(co_await std::move(task));
  step.done();
  co_return Result<void>();
}

async::Task<Result<void>> make_network(sys::Host& host, const lab::Plan& plan) {
  CO_TRY_VOID(co_await lab::make_namespaces(host, plan));
  CO_TRY_VOID(co_await lab::start_emulator(host, plan, own_programs().perigee));
  co_return co_await lab::set_up_interfaces(host, plan);
}

async::Task<Result<void>> start_nodes(Session& session, const lab::Plan& plan) {
  sys::Host& host = session.host();
  const lab::Programs programs = own_programs();
  if (!plan.etcd.empty()) {
    CO_TRY_VOID(co_await in_step(session, fmt::format("etcd, {} members", plan.controls().size()),
                                 lab::start_etcd(host, plan)));
  }
  CO_TRY_VOID(co_await in_step(session, "Control in " + plan.controls().front()->city.code,
                               lab::start_control(host, plan, programs)));
  CO_TRY_VOID(
      co_await in_step(session, "Nodes that join it", lab::join_nodes(host, plan, programs)));
  co_return co_await in_step(session, "Until each is ready", lab::wait_for_nodes(host, plan));
}

async::Task<void> until_signal(sys::PosixHost& host) {
  const int number = co_await host.wait_for_signal({SIGTERM, SIGINT});
  log_info("wan", "ending on signal {}", number);
}

}  // namespace

async::Task<Result<lab::Lab>> open_lab(Session& session) {
  CO_TRY_VOID(require_root());
  co_return co_await lab::load_lab(session.host(), lab_directory(session));
}

async::Task<Result<void>> run_lab_up(Session& session) {
  CO_TRY_VOID(require_root());
  sys::Host& host = session.host();
  CO_TRY(std::vector<lab::City> cities, co_await wanted_cities(session));
  CO_TRY(lab::ControlPlan control, co_await wanted_control(session, cities));
  CO_TRY(const lab::Lab made, co_await lab::ensure_lab(host, lab_directory(session),
                                                       std::move(cities), std::move(control)));
  CO_TRY_VOID(co_await in_step(session,
                               fmt::format("Network of {} cities", made.plan.cities.size()),
                               make_network(host, made.plan)));
  if (!session.options().lab.no_nodes) CO_TRY_VOID(co_await start_nodes(session, made.plan));
  if (session.options().json) {
    print_json(lab_value(made.plan));
    co_return Result<void>();
  }
  print_cities(made.plan);
  print(fmt::format("Simulated round trips: {}.", lab::kRoundTripRule));
  co_return Result<void>();
}

async::Task<Result<void>> run_lab_down(Session& session) {
  CO_TRY_VOID(require_root());
  const std::string directory = lab_directory(session);
  CO_TRY_VOID(co_await lab::remove_lab(session.host(), directory));
  if (session.options().json) {
    print_json(json::object({{"down", true}, {"directory", directory}}));
  } else {
    print(fmt::format("Nothing is left of the lab in {}.", directory));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_lab_status(Session& session) {
  sys::Host& host = session.host();
  CO_TRY(const lab::Lab found, co_await open_lab(session));
  const auto stat = co_await lab::ask_emulator(host, found.plan, {});
  if (session.options().json) {
    json::Value out = lab_value(found.plan);
    out.set("network", stat ? *stat : json::Value());
    print_json(out);
    co_return Result<void>();
  }
  print_cities(found.plan);
  if (!stat) co_return fail(stat.error());
  print(lateness_line(*stat));
  const std::vector<std::string> changed = changed_paths(*stat);
  print(changed.empty() ? "All paths are as the map has them." : "Not as the map has them:");
  for (const std::string& line : changed) print("  " + line);
  co_return Result<void>();
}

async::Task<Result<void>> run_lab_change(Session& session) {
  CO_TRY(const lab::WanRequest request, wan_request(session.options()));
  CO_TRY(const lab::Lab found, co_await open_lab(session));
  CO_TRY(const json::Value done, co_await lab::ask_emulator(session.host(), found.plan, request));
  if (session.options().json) print_json(done);
  co_return Result<void>();
}

async::Task<Result<void>> run_lab_wan(Session& session) {
  CO_TRY(lab::Lab found, co_await open_lab(session));
  const auto ahead = sys::make_thread_real_time();
  if (!ahead) log_warning("wan", "{}: packets may be late under load", ahead.error().context);
  CO_TRY(const auto emulator,
         lab::Emulator::open(session.posix(), std::move(found.plan), found.file.seed));
  co_await async::first_of(session.host().loop, emulator->run(), until_signal(session.posix()));
  co_return Result<void>();
}

}  // namespace perigee::cli
