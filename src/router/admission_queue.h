// AdmissionQueue: who waits for a machine because all that would do are at their hard limit.
//
//   AdmissionQueue::Ticket ticket(queue, "hello", line_of(wish));
//   if (!ticket.enter(machines)) …                    // as many wait as may: 503
//   co_await ticket.turn(until);                      // a place may be free, or the time is up
//   … choose again; where there is one: ticket.leave()
//
// First come, first served: only the first of a line is woken, and it wakes the next when it goes.
// Requests that insist on a machine or region have a line of their own, so that they hold up nobody
// who is content with another. Destroying a ticket (its client has gone) leaves the line. One who
// left and finds the place taken after all comes back to where it stood: its number stays.
// Owned by State, on the router's loop; outlives its tickets.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "async/event.h"
#include "routing/wish.h"

namespace perigee::router {

class AdmissionQueue {
 public:
  explicit AdmissionQueue(async::Loop& loop) : loop_(loop) {}

  class Ticket {
   public:
    Ticket(AdmissionQueue& queue, std::string app, std::string line);
    ~Ticket() { leave(); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    // `machines`: any of them will do. False: the app, or the router, has no room for one more.
    bool enter(const std::vector<std::string>& machines);
    void leave();
    // Returns when it is the first and a place may be free, at `until`, or now and then while it is
    // the first: what other nodes' machines have to do is not always told.
    async::Task<void> turn(MonotonicTime until);
    bool waits() const { return inside_; }
    bool is_first() const;

   private:
    friend class AdmissionQueue;
    AdmissionQueue& queue_;
    std::string app_;
    std::string line_;
    std::uint64_t number_;
    bool inside_ = false;
    async::Notify woken_;
  };

  // Whether somebody stands there already: who comes now goes behind.
  bool has_line(const std::string& app, const std::string& line) const;
  // A request at the machine has ended, or its node told of fewer.
  void freed(const std::string& machine);
  // The routes are others: everybody may look again.
  void routes_changed();
  std::size_t waiting() const { return waiting_; }
  std::uint64_t refusals() const { return refusals_; }

 private:
  using Line = std::map<std::uint64_t, Ticket*>;  // by number: the order of their coming
  struct App {
    std::map<std::string, Line> lines;
    std::vector<std::string> machines;  // that are waited for
    std::size_t waiting = 0;
  };
  void remember(const std::string& name, App& app, const std::vector<std::string>& machines);
  static void wake_first(const Line& line);

  async::Loop& loop_;
  std::unordered_map<std::string, App> apps_;
  std::unordered_map<std::string, std::string> app_of_;  // by machine that is waited for
  std::uint64_t next_number_ = 0;
  std::size_t waiting_ = 0;
  std::uint64_t refusals_ = 0;
};

// The line of an app that a request with this wish stands in; "" for all that insist on nothing.
std::string line_of(const routing::Wish& wish);

}  // namespace perigee::router
