#include "http/client_slots.h"

namespace perigee::http {

ClientSlots::Slot::~Slot() {
  if (owner_ == nullptr) return;
  const auto found = owner_->counts_.find(client_);
  if (--found->second == 0) owner_->counts_.erase(found);
}

ClientSlots::Slot ClientSlots::take(const sys::Address& client) {
  const bool exempt = loopback_ == Loopback::exempt && client.is_loopback();
  if (max_ == 0 || client.is_unix() || exempt) return {nullptr, {}, true};
  const ClientNetwork network = client_network(client);
  std::size_t& count = counts_[network];
  if (count >= max_) return {nullptr, {}, false};
  ++count;
  return {this, network, true};
}

}  // namespace perigee::http
