// ClientSlots: how many of something each client has, so that one can't have them all. A client is
// its IPv4 address, or its network of 64 bits in IPv6, of which it may have as many addresses as it
// likes.
//
//   ClientSlots connections(512, Loopback::exempt);
//   const ClientSlots::Slot slot = connections.take(stream->peer());
//   if (!slot) …   // it has as many as it may
//
// Outlives its slots.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

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
          client_(std::move(other.client_)),
          taken_(other.taken_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot();
    explicit operator bool() const { return taken_; }

   private:
    friend class ClientSlots;
    Slot(ClientSlots* owner, std::string client, bool taken)
        : owner_(owner), client_(std::move(client)), taken_(taken) {}
    ClientSlots* owner_;  // null: nothing to give back
    std::string client_;
    bool taken_;
  };

  Slot take(const sys::Address& client);
  std::size_t clients() const { return counts_.size(); }

 private:
  std::size_t max_;
  Loopback loopback_;
  std::unordered_map<std::string, std::size_t> counts_;
};

// "203.0.113.7", "2001:db8:1:2::/64"
std::string client_network(const sys::Address& client);

}  // namespace perigee::http
