#include "router/prepared_listener.h"

#include "http/client_share.h"

namespace perigee::router {

PreparedListener::PreparedListener(async::Loop& loop, std::unique_ptr<sys::Listener> inner,
                                   Prepare prepare)
    : loop_(loop),
      inner_(std::move(inner)),
      prepare_(std::move(prepare)),
      places_(loop, kMaxOpening),
      ready_(loop, kMaxOpening),
      fed_(loop),
      preparations_(loop, kMaxOpening),
      feeding_(feed(*this)) {
  feeding_.start();
}

async::Task<Result<PreparedListener::Streams>> PreparedListener::accept() {
  auto ready = co_await ready_.pop();
  if (!ready) co_return fail(Code::cancelled, "nothing more is accepted");
  co_return std::move(ready->item);
}

sys::Listener::Left PreparedListener::stop() {
  if (inner_->stop() == Left::nothing) {
    feeding_.reset();
    fed_.set();
  }
  finishing_ = finish(*this);
  finishing_.start();
  return Left::some;
}

async::Task<void> PreparedListener::finish(PreparedListener& self) {
  co_await self.fed_.wait();
  co_await self.preparations_.drained();
  self.ready_.close();
}

async::Task<void> PreparedListener::feed(PreparedListener& self) {
  for (;;) {
    auto permit = co_await self.places_.acquire();
    auto accepted = co_await self.inner_->accept();
    if (accepted) {
      const async::ShareId share = http::client_share(self.loop_, (*accepted)->peer());
      self.preparations_.spawn_for(share, prepare(self, *std::move(accepted), std::move(permit)));
    } else if (accepted.error().code == Code::cancelled) {
      co_return self.fed_.set();
    } else {
      self.ready_.push({.item = fail(std::move(accepted).error()), .permit = std::move(permit)});
      co_await self.loop_.sleep(kAcceptPause);
    }
  }
}

async::Task<void> PreparedListener::prepare(PreparedListener& self, Streams stream,
                                            async::Semaphore::Permit permit) {
  Streams prepared = co_await self.prepare_(std::move(stream));
  if (prepared == nullptr) co_return;
  self.ready_.push({.item = std::move(prepared), .permit = std::move(permit)});
}

}  // namespace perigee::router
