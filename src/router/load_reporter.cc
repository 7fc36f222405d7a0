#include "router/load_reporter.h"

#include "async/combine.h"
#include "base/log.h"
#include "json/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

async::Task<void> one_change(async::Notify& changed) {
  co_await changed.wait();
}
async::Task<void> sleep_for(async::Loop& loop, Duration time) {
  co_await loop.sleep(time);
}

json::Value machines_json(const Loads::Report& report) {
  json::Value machines = json::array();
  for (const auto& [machine, load] : report) {
    machines.push(json::object({{"machine", machine},
                                {"in_flight", load.in_flight},
                                {"peak", load.peak},
                                {"requests", load.requests}}));
  }
  return machines;
}

}  // namespace

LoadReporter::LoadReporter(sys::Host& host, State& state, const RouteStore& store,
                           sys::Address control, std::string router)
    : host_(host),
      state_(state),
      store_(store),
      control_(std::move(control)),
      router_(std::move(router)),
      client_(host, {}) {}

async::Task<void> LoadReporter::run() {
  std::string position;
  MonotonicTime sent_at{};
  bool told = false;
  for (;;) {
    const Loads::Report report = state_.loads.report();
    const bool news = !report.empty() || position != store_.position();
    if (news || host_.loop.now() - sent_at >= kLoadKeepAlive) {
      std::string reached = store_.position();
      const Result<void> sent = co_await send(report);
      if (sent) {
        state_.loads.acknowledge(report);
        position = std::move(reached);
        sent_at = host_.loop.now();
      } else if (!told) {
        log_warning("router", "report of loads: {}; trying again", sent.error().context);
      }
      told = !sent;
    }
    co_await host_.loop.sleep(kLoadPause);
    co_await async::first_of(host_.loop, one_change(state_.changed),
                             sleep_for(host_.loop, kLoadInterval));
  }
}

async::Task<Result<void>> LoadReporter::send(const Loads::Report& report) {
  http::RequestHead head{
      .method = "POST",
      .target = fmt::format("/internal/v1/routers/{}/loads", http::percent_encode(router_))};
  head.headers.add("Content-Type", "application/json");
  std::string body = json::object({{"epoch", store_.epoch()},
                                   {"revision", store_.revision()},
                                   {"machines", machines_json(report)}})
                         .dump();
  const Deadline deadline = host_.loop.deadline_in(kLoadTimeout);
  CO_TRY(const auto response,
         co_await client_.request(control_, std::move(head), std::move(body), deadline));
  CO_TRY(const std::string answer,
         co_await async::with_deadline(host_.loop, deadline,
                                       http::read_all(response->body(), kMaxAnswer), "loads"));
  if (response->head.status >= 300)
    co_return fail(Code::unavailable, "control answered {}: {}", response->head.status, answer);
  co_return Result<void>();
}

}  // namespace perigee::router
