// PreparedListener: a Listener whose connections are looked into before anybody accepts them, many
// at a time: one that is slow to say something keeps no other waiting.
//
//   PreparedListener listener(loop, std::move(inner), [&](auto stream) { return look(…); });
//
// A preparation gives back the stream to accept, or null: the connection has ended, or went another
// way. While kMaxOpening are under way or wait to be accepted, others stay in the backlog. Stopped,
// it gives those that it has taken.
// Owned by the server that accepts from it, on its loop.
#pragma once

#include <functional>
#include <memory>

#include "async/event.h"
#include "async/task_group.h"
#include "router/limits.h"
#include "sys/network.h"

namespace perigee::router {

class PreparedListener : public sys::Listener {
 public:
  using Streams = std::unique_ptr<sys::Stream>;
  using Prepare = std::function<async::Task<Streams>(Streams stream)>;

  PreparedListener(async::Loop& loop, std::unique_ptr<sys::Listener> inner, Prepare prepare);

  async::Task<Result<Streams>> accept() override;
  sys::Address local() const override { return inner_->local(); }
  Left stop() override;

 private:
  using Item = Result<Streams>;
  static async::Task<void> feed(PreparedListener& self);
  static async::Task<void> prepare(PreparedListener& self, Streams stream,
                                   async::Semaphore::Permit permit);
  static async::Task<void> finish(PreparedListener& self);

  // An accepted stream with its place among kMaxOpening.
  struct Ready {
    Item item;
    async::Semaphore::Permit permit;
  };
  async::Loop& loop_;
  std::unique_ptr<sys::Listener> inner_;
  Prepare prepare_;
  async::Semaphore places_;
  async::Mailbox<Ready> ready_;
  async::Event fed_;  // nothing more comes from the inner one
  async::TaskGroup preparations_;
  async::Task<void> feeding_;  // it and the next last: they use the others
  async::Task<void> finishing_;
};

}  // namespace perigee::router
