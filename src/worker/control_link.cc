#include "worker/control_link.h"

#include "async/combine.h"
#include "feed/follower.h"
#include "model/json.h"
#include "worker/limits.h"

namespace perigee::worker {

HttpControlLink::HttpControlLink(sys::Host& host, sys::Address address, NodeId node)
    : host_(host), address_(std::move(address)), node_(std::move(node)), client_(host, {}) {}

async::Task<void> HttpControlLink::follow(FeedSink& sink) {
  FeedDecoder decoder(sink);
  feed::Follower follower(host_, address_,
                          "/internal/v1/feed/node/" + http::percent_encode(node_.str()), "worker",
                          decoder, kMaxFeedLine);
  co_await follower.run();
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
