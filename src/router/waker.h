// Waker: asks control to start a machine of an app whose machines rest. Requests that wait for one
// never wait for the call itself: they see the machine come in the routes.
//
// However many requests ask, there is one call for an app at a time, and a pause between two.
// Owned by Router, on its loop.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "async/task_group.h"
#include "http/client.h"
#include "router/state.h"
#include "sys/host.h"

namespace perigee::router {

class Waker {
 public:
  Waker(sys::Host& host, State& state, sys::Address control, std::string region);

  // Calls control unless a call for this app is on its way, or was a moment ago.
  void ask(const std::string& app);

  struct Trouble {
    std::string reason;
    bool refused = false;  // control answered so: asking again soon won't help
  };
  // Why the app's newest call did not start a machine; nullopt: it did, or it is on its way.
  std::optional<Trouble> trouble(const std::string& app) const;

 private:
  struct Call {
    bool on_its_way = false;
    MonotonicTime not_before;  // of the next one
    std::optional<Trouble> trouble{};
  };
  static async::Task<void> call(Waker& self, std::string app);
  async::Task<std::optional<Trouble>> request(std::string app);
  void forget_old();

  sys::Host& host_;
  State& state_;
  sys::Address control_;
  std::string region_;
  http::Client client_;
  std::map<std::string, Call> calls_;
  async::TaskGroup tasks_;
};

}  // namespace perigee::router
