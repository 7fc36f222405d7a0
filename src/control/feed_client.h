// A feed's receiver for tests of control: what it has been sent so far, as text.
#pragma once

#include <string>
#include <string_view>

#include "async/task_group.h"
#include "control/control_fixture.h"

namespace perigee::control {

// Reads a feed until told to stop; the lines as they came.
struct FeedClient {
  FeedClient(ControlFixture& f, std::string target) : group(f.loop()) {
    group.spawn(read(f, std::move(target), *this));
  }
  static async::Task<void> read(ControlFixture& f, std::string target, FeedClient& self) {
    auto response = co_await f.client.request(f.internal_address, f.request("GET", target), {},
                                              f.loop().deadline_in(20s));
    if (!response) co_return;
    std::string buffer(65536, ' ');
    for (;;) {
      const auto n = co_await (*response)->body().read(buffer);
      if (!n || *n == 0) co_return;
      self.text.append(buffer, 0, *n);
    }
  }
  bool has(std::string_view part) const { return text.find(part) != std::string::npos; }
  std::string text;
  async::TaskGroup group;
};

}  // namespace perigee::control
