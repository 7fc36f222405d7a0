// Occupancy: how many requests each machine has at this moment, from all loops of this process. A
// hard limit is held against it: the one thing that loops share on the way of a request, an atomic
// number for each machine, which a loop looks up once (Loads keeps it).
//
// A loop that waits for a place says so at the machine (`await`): then the next request that ends
// there, on whichever loop, is told to all (`on_freed`).
// Owned by all routers of a process together; every thread may call it.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "async/loop.h"

namespace perigee::router {

class Occupancy {
 public:
  // On a cache line of its own: two machines' numbers are no business of each other.
  class alignas(64) Machine {
   public:
    int count() const { return count_.load(std::memory_order_relaxed); }
    void enter() { count_.fetch_add(1, std::memory_order_relaxed); }
    // False: it has `limit` already.
    bool try_enter(int limit) {
      int now = count();
      while (now < limit) {
        if (count_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed)) return true;
      }
      return false;
    }

   private:
    friend class Occupancy;
    std::atomic<int> count_{0};
    std::atomic<bool> awaited_{false};
  };
  using MachinePtr = std::shared_ptr<Machine>;
  MachinePtr machine(const std::string& id);
  std::size_t size();  // machines that are known, some perhaps to nobody any more

  void await(Machine& machine) { machine.awaited_.store(true); }
  void leave(Machine& machine, const std::string& id) {
    machine.count_.fetch_sub(1);
    if (machine.awaited_.load() && machine.awaited_.exchange(false)) tell(id);
  }

  // Has `told` called on its loop with the machine's id, until the guard is gone.
  class Listening;
  using Told = std::function<void(const std::string& machine)>;
  std::unique_ptr<Listening> on_freed(async::Loop& loop, Told told);

 private:
  struct Listener {
    async::Loop& loop;
    std::shared_ptr<const Told> told;
  };
  void tell(const std::string& id);

  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<Machine>> machines_;
  std::size_t prune_at_ = 64;
  std::list<Listener> listeners_;
};

// Destroyed on the loop that is told.
class Occupancy::Listening {
 public:
  Listening(Occupancy& occupancy, std::list<Listener>::iterator at)
      : occupancy_(occupancy), at_(at) {}
  ~Listening();
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  Occupancy& occupancy_;
  std::list<Listener>::iterator at_;
};

}  // namespace perigee::router
