// RouterCrew: routers that are one to the outside, each on a loop and thread of its own: the first
// on the caller's, the others on threads that the crew starts. Each has its own sockets (of a group
// among which the kernel spreads connections), connections, pools and TLS state; they share the
// table, which nobody changes, and how many requests each machine has (router/occupancy.h).
//
//   TRY(auto crew, RouterCrew::open(host, 2, [&](…) { return config; }, [&](…) { return listeners;
//   })); loop.run(crew->run());                      // until drained
//
// All calls from the caller's thread, whose loop outlives it (docs/decisions/0035-handover.md).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "router/router.h"
#include "sys/posix_host.h"

namespace perigee::bin {

class RouterCrew {
 public:
  struct Makers {
    std::function<router::Config()> config;  // for each; the occupancy is the crew's
    // What the router of that number listens on, with its own host.
    std::function<Result<router::Listeners>(sys::PosixHost& host, std::size_t number)> listeners;
    std::function<void()> on_serving;  // called once, when all serve
  };
  static Result<std::unique_ptr<RouterCrew>> open(sys::PosixHost& host, std::size_t size,
                                                  const Makers& makers);
  ~RouterCrew();  // ends what still runs

  async::Task<void> run();
  void set_routes(const routing::TablePtr& routes);
  async::Task<void> drain(Deadline deadline, router::Successor successor);

 private:
  class Member;
  RouterCrew();
  void one_serves();

  std::function<void()> on_serving_;
  std::size_t silent_ = 0;  // that do not serve yet
  std::unique_ptr<router::Router> first_;
  router::Listeners listeners_;  // of the first, until it runs
  std::vector<std::unique_ptr<Member>> others_;
};

}  // namespace perigee::bin
