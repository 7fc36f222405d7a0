#include "fleet_sim/growth.h"

#include <malloc.h>

#include <algorithm>

#include "base/check.h"
#include "fleet_sim/control_parts.h"
#include "http/client.h"
#include "model/json.h"
#include "router/route_store.h"
#include "router/router.h"
#include "store/memory_store.h"
#include "sys/usage.h"

namespace perigee::fleet_sim {
namespace {

using model::MachineState;

constexpr int kChanges = 100;
constexpr int kFannedOut = 20;  // of them, where each goes to all routers
constexpr int kLostNodes = 5;
constexpr int kBusySeconds = 5;
constexpr int kChangesPerSecond = 10;

template <typename F>
double cpu_us(F work) {
  const Duration start = sys::thread_cpu_time();
  work();
  return std::chrono::duration<double, std::micro>(sys::thread_cpu_time() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::size_t heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// A router's end of the routes feed that only counts.
async::Task<void> count(sys::Host& host, sys::Address control, std::string position,
                        std::size_t& bytes) {
  http::Client client(host, {});
  http::RequestHead head{.method = "GET", .target = "/internal/v1/feed/routes?from=" + position};
  head.headers.set("Host", "control");
  const auto response =
      co_await client.request(control, std::move(head), {}, host.loop.deadline_in(10s));
  PERIGEE_CHECK(response.has_value());
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    const auto n = co_await (*response)->body().read(buffer);
    PERIGEE_CHECK(n.has_value() && *n > 0);
    bytes += *n;
  }
}

// A fleet whose nodes have all reported, and whose control does only what it is told to.
class Bench {
 public:
  explicit Bench(Size size)
      : size_(size),
        control_(simulation_.add_node("control")),
        edge_(simulation_.add_node("edge")),
        files_(ControlFiles::create(simulation_, control_.host())) {
    for (store::Transaction& transaction : initial_records(size))
      PERIGEE_CHECK(simulation_.run(store_.commit(std::move(transaction))).has_value());
    PERIGEE_CHECK(simulation_.run(parts_.load()).has_value());
    parts_.start_following();
    for (int i = 0; i < size.nodes; ++i) reports_.push_back(full_report(i));
    report_all();
    for (int i = 0; i < size.nodes; ++i) publisher().node(node_at(i));
    simulation_.run_for(control::kNodeLease + 1s);
    PERIGEE_CHECK(parts_.start_serving(address_).has_value());
    report_all();
    publisher().refresh();
  }

  void changes(Cost& cost) {
    std::vector<double> routes;
    std::vector<double> nodes;
    std::vector<double> times;
    for (int i = 0; i < kChanges; ++i) {
      const std::int64_t before = publisher().routes().revision();
      const std::vector<std::int64_t> nodes_before = node_revisions();
      model::NodeReport report = next_change();
      times.push_back(cpu_us([&] {
        parts_.observed().report(std::move(report));
        publisher().refresh();
      }));
      routes.push_back(static_cast<double>(publisher().routes().changes_since(before)->size()));
      nodes.push_back(node_bytes_since(nodes_before));
    }
    cost.routes_bytes = median(routes);
    cost.nodes_bytes = median(nodes);
    cost.control_us = median(times);
  }

  // As it comes, text and all.
  void reports(Cost& cost) {
    std::vector<double> times;
    for (int i = 0; i < kChanges; ++i) {
      const std::string text = model::to_json(reports_.at(random_node())).dump();
      times.push_back(cpu_us([&] {
        auto report = model::node_report_from(*json::parse(text));
        parts_.observed().report(*std::move(report));
      }));
    }
    cost.report_us = median(times);
  }

  // To as many routers as there are nodes.
  void fan_out(Cost& cost) {
    std::size_t bytes = 0;
    async::TaskGroup receivers(simulation_.loop());
    const std::string position =
        fmt::format("{}-{}", publisher().epoch(), publisher().routes().revision());
    for (int i = 0; i < size_.nodes; ++i) {
      receivers.spawn(count(edge_.host(), address_, position, bytes));
      simulation_.run_for(1ms);  // not more at once than a listener keeps waiting
    }
    simulation_.run_for(1s);
    std::vector<double> times;
    for (int i = 0; i < kFannedOut; ++i) {
      parts_.observed().report(next_change());
      publisher().refresh();
      const std::size_t before = bytes;
      times.push_back(cpu_us([&] { simulation_.run_for(100ms); }) / size_.nodes);
      PERIGEE_CHECK(bytes >=
                    before + static_cast<std::size_t>(cost.routes_bytes / 2 * size_.nodes));
    }
    cost.send_us = median(times);
  }

  void routers(Cost& cost) {
    const std::string snapshot = publisher().routes().snapshot();
    cost.snapshot_bytes = static_cast<double>(snapshot.size());
    const std::size_t heap = heap_bytes();
    router::RouteStore store;
    cost.snapshot_ms = cpu_us([&] { PERIGEE_CHECK(store.load(snapshot).has_value()); }) / 1000;
    const routing::TablePtr table = store.table();
    cost.router_bytes = static_cast<double>(heap_bytes() - heap);
    router::Router router(
        edge_.host(),
        {.node = node_at(0), .region = city_of(size_, 0), .domain = kDomain, .control = address_});
    async::TaskGroup running(simulation_.loop());
    running.spawn(router.run({}));
    simulation_.run_for(2s);
    PERIGEE_CHECK(router.state().table->apps().size() == static_cast<std::size_t>(size_.apps()));
    std::vector<double> times;
    for (int i = 0; i < kChanges; ++i) {
      parts_.observed().report(next_change());
      publisher().refresh();
      const routing::TablePtr before = router.state().table;
      times.push_back(cpu_us([&] { simulation_.run_for(100ms); }));
      PERIGEE_CHECK(router.state().table != before);
    }
    cost.router_us = median(times);
  }

  void lost_nodes(Cost& cost) {
    std::vector<double> bytes;
    std::vector<double> times;
    for (int i = 0; i < kLostNodes; ++i) {
      const std::int64_t before = publisher().routes().revision();
      times.push_back(cpu_us([&] {
        parts_.observed().forget(node_at(i));
        publisher().refresh();
      }));
      bytes.push_back(static_cast<double>(publisher().routes().changes_since(before)->size()));
    }
    report_all();
    publisher().refresh();
    cost.lost_node_bytes = median(bytes);
    cost.lost_node_us = median(times);
  }

  // What a second of ten changes costs beyond a quiet one, with everything that control does.
  void all_work(Cost& cost) {
    parts_.start_working();
    // Each control that begins looks at all apps once.
    cost.round_ms = cpu_us([&] { simulation_.run_for(control::kNodeLease - 1s); }) / 1000;
    report_all();
    const double quiet = cpu_us([&] { simulation_.run_for(std::chrono::seconds(kBusySeconds)); });
    report_all();
    const double busy = cpu_us([&] {
      for (int i = 0; i < kBusySeconds * kChangesPerSecond; ++i) {
        parts_.observed().report(next_change());
        simulation_.run_for(1s / kChangesPerSecond);
      }
    });
    cost.quiet_us = quiet / kBusySeconds;
    cost.busy_us = busy / kBusySeconds;
  }

 private:
  control::Publisher& publisher() { return parts_.publisher(); }

  model::NodeReport full_report(int node) {
    model::NodeReport report = empty_report(size_, node);
    for (const MachineId& id : parts_.desired().machines_on(report.node)) {
      const model::Machine& machine = parts_.desired().machines().at(id).value;
      model::MachineStatus status;
      status.id = id;
      status.instance_id = machine.instance_id;
      status.state = MachineState::started;
      status.acted_sequence = machine.desired_sequence;
      status.listening = true;
      status.private_ip = fmt::format("10.201.0.{}", report.machines.size() + 2);
      status.private_ip6 =
          fmt::format("fd12:3456:789a:{:x}::{}", node + 1, report.machines.size() + 2);
      report.machines.push_back(std::move(status));
    }
    return report;
  }
  void report_all() {
    for (const model::NodeReport& report : reports_) parts_.observed().report(report);
  }
  // Another machine each time: it runs, or does not run any more.
  model::NodeReport next_change() {
    Random& random = simulation_.random();
    model::NodeReport& report = reports_.at(random_node());
    model::MachineStatus& status = report.machines[random.below(report.machines.size())];
    status.listening = !status.listening;
    status.state = status.listening ? MachineState::started : MachineState::starting;
    return report;
  }
  std::size_t random_node() { return simulation_.random().below(reports_.size()); }
  std::vector<std::int64_t> node_revisions() {
    std::vector<std::int64_t> out;
    for (int i = 0; i < size_.nodes; ++i) out.push_back(publisher().node(node_at(i)).revision());
    return out;
  }
  double node_bytes_since(const std::vector<std::int64_t>& before) {
    std::size_t bytes = 0;
    for (int i = 0; i < size_.nodes; ++i) {
      const control::Feed& feed = publisher().node(node_at(i));
      bytes += feed.changes_since(before[static_cast<std::size_t>(i)])->size();
    }
    return static_cast<double>(bytes);
  }

  Size size_;
  sim::Simulation simulation_{1};
  sim::Node& control_;
  sim::Node& edge_;
  store::MemoryStore store_{simulation_.loop()};
  ControlFiles files_;
  sys::Address address_ =
      *sys::Address::ip(sim::SimNetwork::address_of(control_.index()), kFeedPort);
  ControlParts parts_{control_.host(), store_, files_, "e1"};
  std::vector<model::NodeReport> reports_;
};

}  // namespace

Cost measure(Size size) {
  Cost cost{.size = size};
  Bench bench(size);
  bench.changes(cost);
  bench.reports(cost);
  bench.fan_out(cost);
  bench.routers(cost);
  bench.lost_nodes(cost);
  bench.all_work(cost);
  return cost;
}

}  // namespace perigee::fleet_sim
