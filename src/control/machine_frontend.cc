#include "control/machine_frontend.h"

#include <array>
#include <span>

#include "control/limits.h"

namespace perigee::control {
namespace {

using model::DesiredState;
using model::Origin;

constexpr std::size_t kMachineIdBytes = 7;  // 14 hex digits

model::Machine touched(model::Machine machine, Origin origin, WallTime now) {
  machine.desired_sequence += 1;
  machine.origin = origin;
  machine.stop_override.reset();
  machine.updated_at = now;
  return machine;
}

}  // namespace

std::string make_instance_id(sys::Host& host) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  constexpr int kTimeDigits = 10;
  constexpr std::size_t kRandomDigits = 16;
  std::string out(kTimeDigits, '0');
  auto ms = static_cast<std::uint64_t>(host.clock.wall().unix_ms());
  for (auto digit = out.rbegin(); digit != out.rend(); ++digit, ms >>= 5U)
    *digit = kDigits[ms & 31U];
  std::array<std::uint8_t, kRandomDigits> random{};
  host.entropy.fill(random);
  for (const std::uint8_t byte : random) out.push_back(kDigits[byte & 31U]);
  return out;
}

model::StringMap sealed_secrets(const Context& context, const AppName& app) {
  model::StringMap out;
  for (auto& [name, stored] : context.desired.secrets_of(app))
    out.emplace_back(name, stored.value.sealed);
  return out;
}

Result<model::Machine> make_machine(const Context& context, NewMachine wanted,
                                    const Planned& planned) {
  const std::size_t have = context.desired.machines_of(wanted.app).size() + planned.machines.size();
  if (have >= kMaxMachinesPerApp)
    return fail(Code::resource_exhausted, "app \"{}\" has {} machines: that is the most",
                wanted.app, have);
  std::vector<NodeRoom> nodes = node_rooms(context, wanted.region, wanted.app, planned);
  if (!wanted.node.empty())
    std::erase_if(nodes, [&](const NodeRoom& room) { return room.node != wanted.node; });
  TRY(const NodeRoom room, place(nodes, {wanted.region, wanted.config.guest, wanted.disk_mib}));
  model::Machine machine;
  machine.id = MachineId(sys::random_hex(context.host.entropy, kMachineIdBytes));
  machine.name = wanted.name.empty()
                     ? fmt::format("{}-{}", wanted.app, machine.id.str().substr(0, 6))
                     : std::move(wanted.name);
  machine.app = std::move(wanted.app);
  machine.region = room.region;
  machine.node = room.node;
  machine.instance_id = make_instance_id(context.host);
  machine.config = std::move(wanted.config);
  machine.secrets = sealed_secrets(context, machine.app);
  machine.image = std::move(wanted.image);
  machine.desired = wanted.desired;
  machine.origin = wanted.origin;
  machine.cordoned = wanted.cordoned;
  machine.release = wanted.release;
  machine.replaces = std::move(wanted.replaces);
  machine.created_at = machine.updated_at = context.host.clock.wall();
  return machine;
}

model::Machine ordered(model::Machine machine, DesiredState desired, Origin origin, WallTime now) {
  machine.desired = desired;
  return touched(std::move(machine), origin, now);
}
model::Machine started(model::Machine machine, WallTime now) {
  return ordered(std::move(machine), DesiredState::started, Origin::user, now);
}
model::Machine stopped(model::Machine machine, WallTime now) {
  return ordered(std::move(machine), DesiredState::stopped, Origin::user, now);
}
model::Machine suspended(model::Machine machine, WallTime now) {
  return ordered(std::move(machine), DesiredState::suspended, Origin::user, now);
}
model::Machine destroyed(model::Machine machine, WallTime now) {
  return ordered(std::move(machine), DesiredState::destroyed, Origin::user, now);
}
model::Machine restarted(model::Machine machine, sys::Host& host) {
  machine.desired = DesiredState::started;
  machine.instance_id = make_instance_id(host);
  return touched(std::move(machine), Origin::user, host.clock.wall());
}
model::Machine updated(model::Machine machine, model::MachineConfig config, model::ImageRef image,
                       sys::Host& host) {
  machine.config = std::move(config);
  machine.image = std::move(image);
  machine.instance_id = make_instance_id(host);
  machine.version += 1;
  return touched(std::move(machine), Origin::user, host.clock.wall());
}

async::Task<Result<void>> replace(const Context& context, Stored<model::Machine> stored,
                                  model::Machine machine) {
  store::Transaction transaction;
  put(transaction, machine, stored.revision);
  co_return co_await context.commit(std::move(transaction));
}

}  // namespace perigee::control
