#include "control/node_removal.h"

#include <algorithm>

#include "store/limits.h"

namespace perigee::control {
namespace {

constexpr std::size_t kNamed = 5;  // in one sentence

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kNamed); ++i)
    out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) out += fmt::format(" and {} more", names.size() - kNamed);
  return out;
}

struct Content {
  std::vector<MachineId> machines;  // all, those to be destroyed included
  std::vector<std::string> in_use;  // names of those that are not to be destroyed
  std::vector<VolumeId> volumes;
  std::vector<std::string> volume_names;
};

Content content_of(const Context& context, const NodeId& node) {
  Content out;
  for (const auto& [id, stored] : context.desired.machines()) {
    if (stored.value.node != node) continue;
    out.machines.push_back(id);
    if (stored.value.desired != model::DesiredState::destroyed)
      out.in_use.push_back(fmt::format("{} ({})", id, stored.value.app));
  }
  for (const auto& [id, stored] : context.desired.volumes()) {
    if (stored.value.node != node) continue;
    out.volumes.push_back(id);
    out.volume_names.push_back(fmt::format("{} ({})", id, stored.value.app));
  }
  return out;
}

Result<void> check_empty(const NodeId& node, const Content& content) {
  if (!content.in_use.empty())
    return fail(Code::conflict,
                "node {} still has machines: {}; `perigee nodes drain {}` moves them, --force "
                "forgets them where the node is lost",
                node, joined(content.in_use), node);
  if (!content.volume_names.empty())
    return fail(Code::conflict,
                "node {} still has volumes: {}; destroy them, or --force forgets them with their "
                "data where the node is lost",
                node, joined(content.volume_names));
  return {};
}

}  // namespace

Result<store::Transaction> plan_node_removal(const Context& context, const NodeId& node,
                                             NodeRemoval removal) {
  const auto found = context.desired.nodes().find(node);
  if (found == context.desired.nodes().end())
    return fail(Code::not_found, "there is no node \"{}\"; see `perigee nodes`", node);
  const bool lost = context.observed.lost(node);
  if (!lost && !found->second.value.draining)
    return fail(Code::conflict,
                "node {} is in use: `perigee nodes drain {}` first, or stop it for good", node,
                node);
  if (!lost && removal == NodeRemoval::with_data)
    return fail(Code::conflict, "node {} reports: what is there is not lost; go without --force",
                node);
  const Content content = content_of(context, node);
  if (removal == NodeRemoval::empty) TRY_VOID(check_empty(node, content));
  store::Transaction transaction;
  transaction.expect(node_key(node), found->second.revision);
  transaction.remove(node_key(node));
  for (const MachineId& id : content.machines) {
    transaction.expect(machine_key(id), context.desired.machines().at(id).revision);
    transaction.remove(machine_key(id));
    transaction.remove(lease_key(id));
    transaction.remove(versions_key(id));
  }
  for (const VolumeId& id : content.volumes) {
    transaction.expect(volume_key(id), context.desired.volumes().at(id).revision);
    transaction.remove(volume_key(id));
  }
  if (transaction.changes.size() > store::kMaxTransactionChanges)
    return fail(Code::resource_exhausted,
                "node {} has {} machines and {} volumes: more than can be forgotten at once; "
                "destroy apps first",
                node, content.machines.size(), content.volumes.size());
  return transaction;
}

}  // namespace perigee::control
