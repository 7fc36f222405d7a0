// StreamQueue: a Listener whose connections come from elsewhere in this process: one part of the
// router has looked at a connection, and hands it to another that only knows listeners.
//
//   auto queue = std::make_shared<StreamQueue::Streams>(loop, kMaxHandedOver);
//   tasks.spawn(server.serve(std::make_unique<StreamQueue>(queue)));
//   if (!queue->push(std::move(stream))) …   // full: the connection ends
#pragma once

#include <memory>

#include "async/event.h"
#include "sys/network.h"

namespace perigee::router {

class StreamQueue : public sys::Listener {
 public:
  using Item = Result<std::unique_ptr<sys::Stream>>;
  using Streams = async::Mailbox<Item>;

  explicit StreamQueue(std::shared_ptr<Streams> streams) : streams_(std::move(streams)) {}

  async::Task<Result<std::unique_ptr<sys::Stream>>> accept() override {
    auto item = co_await streams_->pop();
    if (!item) co_return fail(Code::cancelled, "nothing more is handed over");
    co_return *std::move(item);
  }
  sys::Address local() const override { return {}; }  // it has none of its own
  // Whoever fills the queue closes it.
  Left stop() override { return Left::some; }

 private:
  std::shared_ptr<Streams> streams_;
};

}  // namespace perigee::router
