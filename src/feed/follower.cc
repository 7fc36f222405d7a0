#include "feed/follower.h"

#include <algorithm>
#include <array>

#include "async/combine.h"
#include "base/log.h"
#include "feed/limits.h"

namespace perigee::feed {

async::Task<void> Follower::run() {
  Duration pause = kFirstRetry;
  bool told = false;
  for (;;) {
    heard_ = false;
    const Result<void> ended = co_await follow();
    if (heard_) {
      pause = kFirstRetry;
      told = false;
    }
    if (!std::exchange(told, true)) {
      log_warning(who_, "{}: {}; trying again", path_, ended.error().context);
    }
    co_await host_.loop.sleep(pause);
    pause = std::min(pause * 2, kLastRetry);
  }
}

// Never ends well.
async::Task<Result<void>> Follower::follow() {
  http::RequestHead head{.method = "GET", .target = path_ + "?from=" + reader_.position()};
  head.headers.set("Host", "control");
  CO_TRY(const auto response,
         co_await client_.request(control_, std::move(head), {}, host_.loop.deadline_in(kSilence)));
  if (response->head.status != 200) {
    co_return fail(Code::unavailable, "control answered {}", response->head.status);
  }
  reader_.restart();
  std::array<char, 16384> buffer{};
  for (;;) {
    CO_TRY(const std::size_t n,
           co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kSilence),
                                         response->body().read(buffer), "read the feed"));
    if (n == 0) co_return fail(Code::end_of_stream, "control closed it");
    heard_ = true;
    CO_TRY_VOID(reader_.feed({buffer.data(), n}));
  }
}

}  // namespace perigee::feed
