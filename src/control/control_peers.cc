#include "control/control_peers.h"

#include "api/caller.h"
#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"
#include "model/json.h"

namespace perigee::control {

ControlPeers::ControlPeers(sys::Host& host, const DesiredTable& desired, NodeId own,
                           std::string link_socket)
    : host_(host),
      desired_(desired),
      own_(std::move(own)),
      link_socket_(std::move(link_socket)),
      client_(host, {}),
      deliveries_(host.loop, kMaxDeliveries) {}

std::vector<NodeId> ControlPeers::others() const {
  std::vector<NodeId> out;
  if (link_socket_.empty()) return out;
  for (const auto& [node, stored] : desired_.nodes()) {
    const auto& membership = stored.value.membership;
    if (node != own_ && membership && membership->runs("control")) out.push_back(node);
  }
  return out;
}

void ControlPeers::tell(const model::NodeReport& report) {
  if (others().empty()) return;
  tell_all(fmt::format("/internal/v1/nodes/{}/report", http::percent_encode(report.node.str())),
           model::to_json(report).dump());
}

void ControlPeers::tell_loads(const NodeId& router, const json::Value& loads) {
  if (others().empty()) return;
  tell_all(fmt::format("/internal/v1/routers/{}/loads", http::percent_encode(router.str())),
           loads.dump());
}

void ControlPeers::tell_all(const std::string& target, const std::string& body) {
  for (const NodeId& control : others()) {
    Delivery delivery{control, target};
    if (under_way_.contains(delivery)) continue;
    under_way_.insert(delivery);
    if (!deliveries_.spawn(deliver(*this, delivery, body))) under_way_.erase(delivery);
  }
}

async::Task<void> ControlPeers::deliver(ControlPeers& self, Delivery delivery, std::string body) {
  const auto& [control, target] = delivery;
  http::RequestHead head{.method = "POST", .target = target};
  const auto answer = co_await self.ask(control, std::move(head), std::move(body));
  if (answer && (*answer)->head.status >= 400)
    log_warning("control", "{}: control on {} answers {}", target, control, (*answer)->head.status);
  self.under_way_.erase(delivery);
}

async::Task<Result<std::unique_ptr<http::Response>>> ControlPeers::ask(NodeId control,
                                                                       http::RequestHead head,
                                                                       std::string body,
                                                                       Duration patience) {
  head.headers.set("Host", "control");
  head.headers.set(api::kToControlHeader, control.str());
  CO_TRY(const sys::Address link, sys::Address::unix_path(link_socket_));
  co_return co_await client_.request(link, std::move(head), std::move(body),
                                     host_.loop.deadline_in(patience));
}

async::Task<void> ControlPeers::catch_up(ObservedTable& observed) {
  std::set<NodeId> heard;
  const MonotonicTime end = host_.loop.now() + kCatchUp;
  while (host_.loop.now() < end) {
    for (const NodeId& control : others()) {
      if (heard.contains(control)) continue;
      if (co_await catch_up_with(control, observed)) heard.insert(control);
    }
    if (heard.size() >= others().size()) co_return;
    co_await host_.loop.sleep(kCatchUpRetry);
  }
}

async::Task<Result<void>> ControlPeers::catch_up_with(NodeId control, ObservedTable& observed) {
  http::RequestHead head{.method = "GET", .target = "/internal/v1/reports"};
  CO_TRY(const auto response, co_await ask(std::move(control), std::move(head), {}));
  if (response->head.status != 200) co_return fail(Code::unavailable, "{}", response->head.status);
  CO_TRY(const std::string text, co_await async::with_deadline(
                                     host_.loop, host_.loop.deadline_in(kPeerPatience),
                                     http::read_all(response->body(), kMaxReportBytes), "reports"));
  CO_TRY(const json::Value answer, json::parse(text));
  const json::Value* reports = answer.find("reports");
  for (const json::Value& each : reports == nullptr ? json::Array{} : reports->items()) {
    CO_TRY(const std::int64_t age_ms, each.optional_int("age_ms", 0));
    const json::Value* report = each.find("report");
    if (report == nullptr || age_ms < 0) continue;
    CO_TRY(model::NodeReport said, model::node_report_from(*report));
    observed.report(std::move(said), std::chrono::milliseconds(age_ms));
  }
  co_return Result<void>();
}

}  // namespace perigee::control
