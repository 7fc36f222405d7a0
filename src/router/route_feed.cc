#include "router/route_feed.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::string_view kPath = "/internal/v1/feed/routes";

}  // namespace

RouteFeed::RouteFeed(sys::Host& host, sys::Address control, RouteStore& store, State& state,
                     Publish publish)
    : host_(host),
      control_(std::move(control)),
      store_(store),
      state_(state),
      publish_(std::move(publish)),
      client_(host, {}) {}

async::Task<void> RouteFeed::run() {
  Duration pause = kFirstReconnect;
  bool reported = false;
  for (;;) {
    const auto ended = co_await follow();
    // A feed that worked before starts over quickly and is worth a line.
    if (state_.feed_connected) {
      pause = kFirstReconnect;
      reported = false;
    }
    state_.feed_connected = false;
    if (!reported) log_warning("router", "routes feed: {}", ended.error().context);
    reported = true;
    co_await host_.loop.sleep(pause);
    pause = std::min(pause * 2, kLastReconnect);
  }
}

async::Task<Result<void>> RouteFeed::follow() {
  http::RequestHead head{.method = "GET", .target = std::string(kPath)};
  const std::string position = store_.position();
  if (!position.empty()) head.target += "?from=" + http::percent_encode(position);
  CO_TRY(const auto response, co_await client_.request(control_, std::move(head), {},
                                                       host_.loop.deadline_in(kFeedConnect)));
  if (response->head.status != 200) {
    co_return fail(Code::unavailable, "{} answered {}", control_.str(), response->head.status);
  }
  co_return co_await read_lines(response->body());
}

async::Task<Result<void>> RouteFeed::read_lines(http::Body& body) {
  http::LineReader lines(body, kMaxFeedLine);
  bool begun = false;
  for (;;) {
    CO_TRY(const bool changed, apply_arrived(lines, begun));
    if (changed) publish_(store_.table());
    CO_TRY_VOID(co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kFeedSilence),
                                              lines.fill(), "routes feed"));
  }
}

// All lines that are there make one new table. True: it differs.
Result<bool> RouteFeed::apply_arrived(http::LineReader& lines, bool& begun) {
  bool changed = false;
  for (;;) {
    TRY(const auto line, lines.next());
    if (!line) return changed;
    if (line->empty()) continue;
    if (!begun) {
      TRY_VOID(store_.begin(*line));
      begun = true;
      state_.feed_connected = true;
      ++state_.counters.feed_connects;
      log_info("router", "routes feed: following {}", control_.str());
      continue;
    }
    TRY(const RouteStore::Effect effect, store_.apply(*line));
    changed = changed || effect == RouteStore::Effect::changed;
  }
}

}  // namespace perigee::router
