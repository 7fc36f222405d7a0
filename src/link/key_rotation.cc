#include "link/key_rotation.h"

namespace perigee::link {
namespace {

bool told(const mesh::NodeKeys& keys, const model::Membership& record) {
  const std::string next = keys.next ? keys.next->public_key().base64() : std::string();
  return record.wireguard_key == keys.current.public_key().base64() &&
         record.wireguard_next_key == next;
}

}  // namespace

KeyDecision next_key_step(const mesh::NodeKeys& keys, const model::Membership& record,
                          const KeyTimes& times, WallTime now) {
  if (!told(keys, record)) return {.step = KeyStep::announce};
  if (!keys.next) {
    const Duration left = times.life - (now - keys.taken_at);
    if (record.rotate_key || left <= Duration(0)) return {.step = KeyStep::prepare};
    return {.step = KeyStep::rest, .pause = left};
  }
  // An announcement in the future is of a clock that has been set back: its time begins anew.
  if (!keys.announced_at || *keys.announced_at > now) return {.step = KeyStep::announce};
  const Duration left = times.announcement - (now - *keys.announced_at);
  if (left <= Duration(0)) return {.step = KeyStep::take};
  return {.step = KeyStep::rest, .pause = left};
}

}  // namespace perigee::link
