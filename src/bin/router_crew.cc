#include "bin/router_crew.h"

#include <thread>

#include "async/event.h"
#include "async/task_group.h"

namespace perigee::bin {
namespace {

constexpr std::size_t kPoolThreads = 1;  // of each further loop: its access log

}  // namespace

// A router with its thread. Made and destroyed by the crew's thread; between the two the router is
// its own thread's, which others reach by posting.
class RouterCrew::Member {
 public:
  Member(async::Loop& crew, std::unique_ptr<sys::PosixHost> host, router::Config config,
         router::Listeners listeners)
      : crew_(crew),
        host_(std::move(host)),
        router_(std::make_unique<router::Router>(host_->host(), std::move(config))),
        tasks_(std::make_unique<async::TaskGroup>(host_->loop())),
        listeners_(std::move(listeners)),
        ended_(crew) {}
  ~Member() {
    if (!thread_.joinable()) return;
    drain(Deadline{host_->port().now()}, router::Successor::none);
    thread_.join();
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  void start() {
    thread_ = std::thread([this] { live(); });
  }
  void set_routes(routing::TablePtr routes) {
    host_->loop().post([this, table = std::move(routes)]() mutable {
      if (router_ != nullptr) router_->set_routes(std::move(table));
    });
  }
  void drain(Deadline deadline, router::Successor successor) {
    host_->loop().post([this, deadline, successor] {
      if (router_ != nullptr) tasks_->spawn(router_->drain(deadline, successor));
    });
  }
  async::Task<void> ended() { return ended_.wait(); }

 private:
  void live() {
    host_->loop().run(router_->run(std::move(listeners_)));
    tasks_.reset();
    router_.reset();
    crew_.post([this] { ended_.set(); });  // the crew's thread joins this one after that
  }

  async::Loop& crew_;
  std::unique_ptr<sys::PosixHost> host_;
  std::unique_ptr<router::Router> router_;
  std::unique_ptr<async::TaskGroup> tasks_;
  router::Listeners listeners_;
  async::Event ended_;  // of the crew's loop
  std::thread thread_;
};

Result<std::unique_ptr<RouterCrew>> RouterCrew::open(sys::PosixHost& host, std::size_t size,
                                                     const Makers& makers) {
  std::unique_ptr<RouterCrew> crew(new RouterCrew());
  crew->on_serving_ = makers.on_serving;
  crew->silent_ = size;
  const auto occupancy = std::make_shared<router::Occupancy>();
  const auto config = [&](std::function<void()> on_serving) {
    router::Config made = makers.config();
    made.occupancy = occupancy;
    made.on_serving = std::move(on_serving);
    return made;
  };
  RouterCrew* const self = crew.get();
  TRY(crew->listeners_, makers.listeners(host, 0));
  crew->first_ =
      std::make_unique<router::Router>(host.host(), config([self] { self->one_serves(); }));
  for (std::size_t number = 1; number < size; ++number) {
    TRY(auto own, sys::PosixHost::open(kPoolThreads));
    TRY(auto listeners, makers.listeners(*own, number));
    const auto tell = [self, loop = &host.loop()] { loop->post([self] { self->one_serves(); }); };
    crew->others_.push_back(
        std::make_unique<Member>(host.loop(), std::move(own), config(tell), std::move(listeners)));
  }
  return crew;
}

RouterCrew::RouterCrew() = default;
RouterCrew::~RouterCrew() = default;

async::Task<void> RouterCrew::run() {
  for (const auto& each : others_) each->start();
  co_await first_->run(std::move(listeners_));
  for (const auto& each : others_) co_await each->ended();
}

void RouterCrew::one_serves() {
  if (--silent_ == 0 && on_serving_) on_serving_();
}

void RouterCrew::set_routes(const routing::TablePtr& routes) {
  first_->set_routes(routes);
  for (const auto& each : others_) each->set_routes(routes);
}

async::Task<void> RouterCrew::drain(Deadline deadline, router::Successor successor) {
  for (const auto& each : others_) each->drain(deadline, successor);
  co_await first_->drain(deadline, successor);
  for (const auto& each : others_) co_await each->ended();
}

}  // namespace perigee::bin
