#include "backhaul/load_feed.h"

#include "async/combine.h"
#include "backhaul/load_line.h"
#include "base/log.h"
#include "http/line_reader.h"

namespace perigee::backhaul {

LoadFeed::LoadFeed(sys::Host& host, Client& nodes, LoadView& view)
    : host_(host), nodes_(nodes), view_(view), tasks_(host.loop, kMaxFollowed) {}

void LoadFeed::follow(const std::string& node) {
  if (const auto known = used_.find(node); known != used_.end()) {
    known->second = host_.loop.now();
    return;
  }
  if (tasks_.size() >= kMaxFollowed) return;
  used_.emplace(node, host_.loop.now());
  tasks_.spawn(keep(node));
}

async::Task<void> LoadFeed::keep(std::string node) {
  bool told = false;
  while (host_.loop.now() - used_.at(node) <= kBusyTime) {
    Result<void> ended;
    co_await async::first_of(host_.loop, read(node, ended), until_unused(node));
    view_.forget(node);
    if (!ended && !std::exchange(told, true)) {
      log_info("backhaul", "loads of node {}: {}", node, ended.error().context);
    }
    co_await host_.loop.sleep(kRefollow);
  }
  used_.erase(node);
}

async::Task<void> LoadFeed::until_unused(std::string node) {
  for (;;) {
    const Duration left = used_.at(node) + kBusyTime - host_.loop.now();
    if (left <= 0s) co_return;
    co_await host_.loop.sleep(left);
  }
}

async::Task<void> LoadFeed::read(std::string node, Result<void>& ended) {
  ended = co_await read_lines(std::move(node));
}

async::Task<Result<void>> LoadFeed::read_lines(std::string node) {
  Hop hop{.node = node, .loads = true};
  http::RequestHead head;
  head.headers.set("Host", node);
  auto answer = co_await nodes_.forward(std::move(hop), std::move(head), nullptr,
                                        host_.loop.deadline_in(kDead));
  if (!answer) co_return fail(answer.error().request.error);
  http::Response& response = *answer->response;
  if (response.head.status != 200) {
    co_return fail(Code::unavailable, "its router answers {}", response.head.status);
  }
  http::LineReader lines(response.body(), kMaxNameBytes + 16);
  for (;;) {
    CO_TRY(const auto line, lines.next());
    if (!line) {
      CO_TRY_VOID(co_await lines.fill());
      continue;
    }
    CO_TRY(const LoadLine load, parse_load(*line));
    view_.told(node, load.machine, load.others);
  }
}

}  // namespace perigee::backhaul
