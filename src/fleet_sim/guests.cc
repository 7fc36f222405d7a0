#include "fleet_sim/guests.h"

namespace perigee::fleet_sim {
namespace {

using model::DesiredState;
using model::MachineState;

constexpr int kFirstAddress = 2;
constexpr int kAddressesPerSubnet = 250;

void enter(Guests::Guest& guest, MachineState state) {
  guest.status.state = state;
  guest.status.listening = state == MachineState::started;
}

}  // namespace

Guests::Guest& Guests::make(const model::Machine& machine) {
  Guest& guest = guests_[machine.id];
  const int number = kFirstAddress + addresses_++;
  guest.status.id = machine.id;
  guest.status.private_ip =
      fmt::format("10.201.{}.{}", number / kAddressesPerSubnet, number % kAddressesPerSubnet);
  guest.status.private_ip6 = fmt::format("fd12:3456:789a:{:x}::{:x}", node_ + 1, number);
  guest.since = loop_.now();
  enter(guest, MachineState::starting);
  census_.comes(machine.id, node_);
  return guest;
}

void Guests::destroy(Guest& guest) {
  if (guest.status.state == MachineState::destroyed) return;
  enter(guest, MachineState::destroyed);
  guest.status.private_ip.clear();
  guest.status.private_ip6.clear();
  census_.goes(guest.status.id, node_);
}

void Guests::adopt(model::Machine machine) {
  Guest& guest = make(machine);
  guest.status.instance_id = machine.instance_id;
  guest.status.acted_sequence = machine.desired_sequence;
  guest.machine = std::move(machine);
  enter(guest, MachineState::started);
}

void Guests::lose_power() {
  for (auto& [id, guest] : guests_) {
    if (!guest.runs()) continue;
    enter(guest, MachineState::starting);
    guest.since = loop_.now();
  }
}

bool Guests::boot() {
  bool some_boot = false;
  for (auto& [id, guest] : guests_) {
    if (guest.status.state != MachineState::starting) continue;
    if (loop_.now() - guest.since >= kBootTime) {
      enter(guest, MachineState::started);
    } else {
      some_boot = true;
    }
  }
  return some_boot;
}

const model::MachineStatus* Guests::status(const MachineId& id) const {
  const auto found = guests_.find(id);
  return found == guests_.end() ? nullptr : &found->second.status;
}

bool Guests::runs(const MachineId& id) const {
  const model::MachineStatus* known = status(id);
  return known != nullptr && known->state == MachineState::started;
}

std::vector<model::MachineStatus> Guests::statuses() const {
  std::vector<model::MachineStatus> out;
  out.reserve(guests_.size());
  for (const auto& [id, guest] : guests_) out.push_back(guest.status);
  return out;
}

void Guests::machine_wanted(model::Machine machine) {
  const auto found = guests_.find(machine.id);
  Guest& guest = found == guests_.end() ? make(machine) : found->second;
  guest.status.instance_id = machine.instance_id;
  guest.status.acted_sequence = machine.desired_sequence;
  guest.machine = std::move(machine);
  if (guest.machine.desired == DesiredState::destroyed) destroy(guest);
  changed_.notify_all();
}

void Guests::machine_gone(MachineId id) {
  const auto found = guests_.find(id);
  if (found == guests_.end()) return;
  destroy(found->second);
  guests_.erase(found);
  changed_.notify_all();
}

void Guests::synced(const std::set<MachineId>& machines) {
  for (auto& [id, guest] : guests_) {
    if (!machines.contains(id)) destroy(guest);
  }
  std::erase_if(guests_, [&](const auto& each) { return !machines.contains(each.first); });
  changed_.notify_all();
}

void Guests::names_synced(const std::set<AppName>& apps) {
  std::erase_if(names_, [&](const auto& each) { return !apps.contains(each.first); });
}

}  // namespace perigee::fleet_sim
