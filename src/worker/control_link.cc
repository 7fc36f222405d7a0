#include "worker/control_link.h"

#include <algorithm>
#include <array>

#include "async/combine.h"
#include "base/log.h"
#include "model/json.h"
#include "worker/limits.h"

namespace perigee::worker {

HttpControlLink::HttpControlLink(sys::Host& host, sys::Address address, NodeId node)
    : host_(host), address_(std::move(address)), node_(std::move(node)), client_(host, {}) {}

async::Task<void> HttpControlLink::follow(FeedSink& sink) {
  FeedReader reader(sink);
  Duration pause = kFeedFirstRetry;
  bool told = false;
  for (;;) {
    heard_ = false;
    const Result<void> ended = co_await follow_once(reader);
    if (heard_) {
      pause = kFeedFirstRetry;
      told = false;
    }
    if (!ended && !std::exchange(told, true)) {
      log_warning("worker", "control's feed: {}; machines stay as they are, trying again",
                  ended.error().context);
    }
    co_await host_.loop.sleep(pause);
    pause = std::min(pause * 2, kFeedMaxRetry);
  }
}

async::Task<Result<void>> HttpControlLink::follow_once(FeedReader& reader) {
  http::RequestHead head;
  head.target = fmt::format("/internal/v1/feed/node/{}?from={}", http::percent_encode(node_.str()),
                            reader.position());
  CO_TRY(const auto response, co_await client_.request(address_, std::move(head), {},
                                                       host_.loop.deadline_in(kFeedSilence)));
  if (response->head.status != 200) {
    co_return fail(Code::unavailable, "control answered {}", response->head.status);
  }
  reader.restart();
  std::array<char, 16384> buffer{};
  for (;;) {
    CO_TRY(const std::size_t n,
           co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kFeedSilence),
                                         response->body().read(buffer), "read the feed"));
    if (n == 0) co_return fail(Code::end_of_stream, "control closed it");
    heard_ = true;
    CO_TRY_VOID(reader.feed({buffer.data(), n}));
  }
}

async::Task<Result<void>> HttpControlLink::report(model::NodeReport report) {
  constexpr std::size_t kMaxAnswer = 4096;
  http::RequestHead head;
  head.method = "POST";
  head.target = fmt::format("/internal/v1/nodes/{}/report", http::percent_encode(node_.str()));
  head.headers.set("Content-Type", "application/json");
  const Deadline deadline = host_.loop.deadline_in(kReportTimeout);
  CO_TRY(const auto response, co_await client_.request(address_, std::move(head),
                                                       model::to_json(report).dump(), deadline));
  const int status = response->head.status;
  CO_TRY(const std::string answer,
         co_await async::with_deadline(host_.loop, deadline,
                                       http::read_all(response->body(), kMaxAnswer), "report"));
  if (status / 100 != 2) {
    co_return fail(Code::unavailable, "control answered {} to a report: {}", status, answer);
  }
  co_return Result<void>();
}

}  // namespace perigee::worker
