// ClientSlots: how many of something each client (client_network.h) has, so that one can't have
// them all.
//
//   ClientSlots connections(512, Loopback::exempt);
//   const ClientSlots::Slot slot = connections.take(stream->peer());
//   if (!slot) …   // it has as many as it may
//
// Outlives its slots.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>

#include "http/client_network.h"
#include "sys/address.h"

namespace perigee::http {

// Whether programs of this machine count as one client: there may be a proxy of many among them.
enum class Loopback { counted, exempt };

class ClientSlots {
 public:
  // 0: as many as it likes.
  ClientSlots(std::size_t max, Loopback loopback) : max_(max), loopback_(loopback) {}

  class Slot {
   public:
    Slot(Slot&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          client_(other.client_),
          taken_(other.taken_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot();
    explicit operator bool() const { return taken_; }

   private:
    friend class ClientSlots;
    Slot(ClientSlots* owner, const ClientNetwork& client, bool taken)
        : owner_(owner), client_(client), taken_(taken) {}
    ClientSlots* owner_;  // null: nothing to give back
    ClientNetwork client_;
    bool taken_;
  };

  Slot take(const sys::Address& client);
  std::size_t clients() const { return counts_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const ClientNetwork& network) const { return hash_of(network, salt); }
    std::uint64_t salt;
  };
  std::size_t max_;
  Loopback loopback_;
  // Where this lies differs from run to run.
  std::unordered_map<ClientNetwork, std::size_t, Hash> counts_{
      0, Hash{reinterpret_cast<std::uintptr_t>(this)}};
};

}  // namespace perigee::http
