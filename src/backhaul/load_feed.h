// LoadFeed: follows what the routers of other nodes tell of their machines' loads, into a LoadView.
//
//   feed.follow(node);   // whenever its machines are among those to choose from
//
// A node is followed from the first call until kBusyTime after the last: one stream on a connection
// that is there anyway, on which its router writes a line for each change (load_line.h), so that
// what is known here is as old as the path is long. Owned by the router, on the loop's thread.
#pragma once

#include <map>
#include <string>

#include "async/task_group.h"
#include "backhaul/client.h"
#include "backhaul/load_view.h"

namespace perigee::backhaul {

class LoadFeed {
 public:
  // All outlive it.
  LoadFeed(sys::Host& host, Client& nodes, LoadView& view);

  void follow(const std::string& node);
  std::size_t followed() const { return used_.size(); }

 private:
  async::Task<void> keep(std::string node);
  async::Task<void> until_unused(std::string node);
  async::Task<void> read(std::string node, Result<void>& ended);
  async::Task<Result<void>> read_lines(std::string node);

  sys::Host& host_;
  Client& nodes_;
  LoadView& view_;
  std::map<std::string, MonotonicTime> used_;
  async::TaskGroup tasks_;  // last: uses the others
};

}  // namespace perigee::backhaul
