// The commands of `perigee lab` that measure: latency, load.
#include "async/combine.h"
#include "async/task_group.h"
#include "cli/lab_commands.h"
#include "http/client.h"
#include "lab/bring_up.h"
#include "lab/latency.h"
#include "lab/load.h"
#include "lab/visit.h"
#include "sys/netns.h"

namespace perigee::cli {
namespace {

constexpr std::size_t kCitiesAtOnce = 3;  // more, and they would measure each other's processor
constexpr Duration kPerRequest = 25s;
constexpr Duration kLoadTimeout = 10s;
constexpr std::size_t kMaxLoadBody = 64 * 1024 * 1024;
constexpr std::size_t kMaxUnderWay = 20'000;

double ms(Duration duration) {
  return to_seconds(duration) * 1000;
}

// ---- latency ----

async::Task<Result<lab::Wait>> measure(Session& session, const lab::Plan& plan,
                                       const lab::CityPlan& from, const lab::CityPlan& edge) {
  const LabOptions& o = session.options().lab;
  sys::Host& host = session.host();
  sys::Spawn spawn{
      .argv = lab::in_namespace(from.user.network_namespace,
                                lab::sample_command(plan, edge, o.app, o.path, o.requests))};
  spawn.env = lab::lab_environment(plan, {});
  CO_TRY(const sys::Completed done,
         co_await host.processes.run(spawn, "", host.loop.deadline_in(kPerRequest * o.requests)));
  // curl's own status is that of the last request; each line has its own.
  CO_TRY(const std::vector<lab::Sample> samples, lab::parse_samples(done.out));
  if (samples.empty()) co_return fail(sys::helper_failed(spawn, done));
  co_return lab::summarize(samples, o.requests);
}

async::Task<Result<lab::CityLatency>> measure_city(Session& session, const lab::Plan& plan,
                                                   const lab::CityPlan& city,
                                                   const lab::CityPlan& origin) {
  lab::CityLatency out{.city = city.city.code, .origin = {}, .perigee = {}};
  out.distance = 2 * lab::base_path(plan, city.site, origin.site).delay;
  CO_TRY_AS(out.origin, co_await measure(session, plan, city, origin), city.city.code);
  CO_TRY_AS(out.perigee, co_await measure(session, plan, city, city), city.city.code);
  co_return out;
}

json::Value wait_value(const lab::Wait& wait) {
  return json::object({{"median_ms", wait.answered > 0 ? json::Value(ms(wait.median)) : nullptr},
                       {"answered", wait.answered},
                       {"asked", wait.asked}});
}

void print_report(const lab::LatencyReport& report) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(report.cities.size());
  const auto cell = [](const lab::Wait& wait) {
    return wait.answered == 0 ? std::string("-") : fmt::format("{:.1f} ms", ms(wait.median));
  };
  for (const lab::CityLatency& each : report.cities) {
    rows.push_back({each.city, fmt::format("{:.1f} ms", ms(each.distance)), cell(each.origin),
                    cell(each.perigee),
                    fmt::format("{}/{}", each.origin.answered + each.perigee.answered,
                                each.origin.asked + each.perigee.asked)});
  }
  print_table({"CITY", "TO " + report.origin, "ORIGIN", "PERIGEE", "ANSWERED"}, rows);
  print("");
  for (const std::string& line : lab::terminal_plot(report)) print(line);
  print("");
  print(lab::simulation_note(report));
}

void print_report_json(const lab::LatencyReport& report) {
  json::Value cities = json::array();
  for (const lab::CityLatency& each : report.cities) {
    cities.push(json::object({{"city", each.city},
                              {"round_trip_ms", ms(each.distance)},
                              {"origin", wait_value(each.origin)},
                              {"perigee", wait_value(each.perigee)}}));
  }
  print_json(json::object({{"app", report.app},
                           {"origin", report.origin},
                           {"simulated", lab::kRoundTripRule},
                           {"cities", std::move(cities)}}));
}

// ---- load ----

struct LoadTarget {
  sys::Address edge;
  http::RequestHead head;
};

async::Task<Result<int>> fetch(http::Client& client, LoadTarget target, Deadline deadline) {
  CO_TRY(const auto response,
         co_await client.request(target.edge, std::move(target.head), "", deadline));
  CO_TRY_VOID(co_await http::read_all(response->body(), kMaxLoadBody));
  co_return response->head.status;
}

async::Task<void> sample(sys::Host& host, http::Client& client, LoadTarget target,
                         std::vector<lab::LoadSample>& samples) {
  const MonotonicTime start = host.loop.now();
  const Deadline deadline{start + kLoadTimeout};
  const auto status = co_await async::with_deadline(
      host.loop, deadline, fetch(client, std::move(target), deadline), "the edge");
  samples.push_back(
      {.outcome = status ? fmt::format("{}", *status) : std::string(info(status.error().code).name),
       .took = host.loop.now() - start});
}

// A request whenever its time has come, whether those before it are answered or not.
async::Task<std::vector<lab::LoadSample>> send_load(sys::Host& host, LoadTarget target, int rate,
                                                    int seconds) {
  std::vector<lab::LoadSample> samples;
  http::Client client(host, {});
  async::TaskGroup under_way(host.loop, kMaxUnderWay);
  const MonotonicTime start = host.loop.now();
  for (int i = 0; i < rate * seconds; ++i) {
    co_await host.loop.sleep_until(start + Duration(1s) * i / rate);
    if (!under_way.spawn(sample(host, client, target, samples))) {
      samples.push_back({.outcome = "not sent: too many are under way", .took = {}});
    }
  }
  co_await under_way.drained();
  co_return samples;
}

void print_load(Session& session, const lab::LoadSummary& summary) {
  if (session.options().json) {
    json::Value outcomes = json::object();
    for (const auto& [outcome, count] : summary.outcomes) outcomes.set(outcome, count);
    print_json(json::object({{"asked", summary.asked},
                             {"outcomes", std::move(outcomes)},
                             {"p50_ms", ms(summary.p50)},
                             {"p90_ms", ms(summary.p90)},
                             {"p99_ms", ms(summary.p99)},
                             {"longest_ms", ms(summary.longest)},
                             {"simulated", lab::kRoundTripRule}}));
    return;
  }
  for (const auto& [outcome, count] : summary.outcomes) {
    print(fmt::format("{:>6}  {}", count, outcome));
  }
  print(
      fmt::format("Answered by 200 within {:.1f} ms (half), {:.1f} ms (90 %), {:.1f} ms (99 %), "
                  "{:.1f} ms (all).",
                  ms(summary.p50), ms(summary.p90), ms(summary.p99), ms(summary.longest)));
  print(fmt::format("Simulated network: {}.", lab::kRoundTripRule));
}

}  // namespace

async::Task<Result<void>> run_lab_latency(Session& session) {
  const LabOptions& o = session.options().lab;
  CO_TRY(const lab::Lab found, co_await open_lab(session));
  const lab::Plan& plan = found.plan;
  CO_TRY(const lab::CityPlan* origin,
         plan.city(o.origin.empty() ? plan.cities.front().city.code : o.origin));
  std::vector<async::Task<Result<lab::CityLatency>>> tasks;
  tasks.reserve(plan.cities.size());
  for (const lab::CityPlan& each : plan.cities) {
    tasks.push_back(measure_city(session, plan, each, *origin));
  }
  auto measured = co_await async::all_of(session.host().loop, std::move(tasks), kCitiesAtOnce);
  lab::LatencyReport report{.app = o.app, .origin = origin->city.code, .cities = {}};
  for (auto& each : measured) {
    if (!each) co_return fail(std::move(each).error());
    report.cities.push_back(*std::move(each));
  }
  if (!o.svg.empty()) {
    CO_TRY_VOID(co_await session.host().disk.write_file(o.svg, lab::svg_plot(report), 0644,
                                                        sys::Durability::cached));
  }
  if (session.options().json) {
    print_report_json(report);
  } else {
    print_report(report);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_lab_load(Session& session) {
  const LabOptions& o = session.options().lab;
  CO_TRY(const lab::Lab found, co_await open_lab(session));
  CO_TRY(const lab::CityPlan* from, found.plan.city(o.from));
  CO_TRY(const lab::CityPlan* edge, found.plan.city(o.edge.empty() ? o.from : o.edge));
  LoadTarget target;
  CO_TRY(target.edge, sys::Address::ip(edge->node.address, lab::kHttpPort));
  target.head = {.method = "GET", .target = o.path, .headers = {}};
  target.head.headers.set("Host", fmt::format("{}.{}", o.app, lab::kDomain));
  // All that this thread connects from here on, it connects from where the users are.
  CO_TRY_VOID(sys::join_network_namespace(from->user.network_namespace));
  const std::vector<lab::LoadSample> samples =
      co_await send_load(session.host(), std::move(target), o.rate, o.seconds);
  print_load(session, lab::summarize_load(samples));
  co_return Result<void>();
}

}  // namespace perigee::cli
