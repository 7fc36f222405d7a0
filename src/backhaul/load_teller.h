// LoadTeller: tells other routers what this node's machines have to do, as it changes: the other
// end of LoadFeed.
//
//   tasks.spawn(LoadTeller::run(teller));
//   teller.changed(machine);                          // at each request's begin and end
//   co_await teller.serve(hop.from, response);        // a router that asks, until it goes away
//
// A change is told at once, those of the next kTellInterval together: per follower there is at most
// one line for a machine in that time, and nothing where its number is the one it was told before.
// What a follower is slow to read is not queued; it gets the newest number when it reads on.
#pragma once

#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "async/event.h"
#include "http/message.h"

namespace perigee::backhaul {

// Who counts the requests at this node's machines.
class LoadSource {
 public:
  virtual ~LoadSource() = default;
  // With any request now.
  virtual std::vector<std::string> loaded_machines() const = 0;
  // Requests at the machine that did not come through the router of node `from`.
  virtual int others(const std::string& machine, const std::string& from) const = 0;
};

class LoadTeller {
 public:
  // The source outlives it.
  LoadTeller(async::Loop& loop, const LoadSource& source);

  void changed(const std::string& machine);
  static async::Task<void> run(LoadTeller& teller);
  async::Task<void> serve(std::string from, http::ResponseWriter& response);
  // Ends all that are served, now and later: the router drains.
  void end();
  std::size_t followers() const { return followers_.size(); }

 private:
  struct Follower;
  void spread();
  std::string news(Follower& follower) const;
  async::Task<void> tell(Follower& follower, http::ResponseWriter& response);

  async::Loop& loop_;
  const LoadSource& source_;
  std::list<Follower*> followers_;
  std::set<std::string> touched_;  // machines, since the last spread
  async::Notify wake_;
  bool ended_ = false;
};

}  // namespace perigee::backhaul
