// Which step comes next on the way to a new WireGuard key.
#include "link/key_rotation.h"

#include <doctest/doctest.h>

namespace perigee::link {
namespace {

constexpr WallTime kNow{1'790'000'000'000'000'000};

mesh::PrivateKey key(char of) {
  return *mesh::PrivateKey::from_raw(std::string(32, of));
}
std::string text(char of) {
  return key(of).public_key().base64();
}

struct Node {
  mesh::NodeKeys keys{.current = key('a'), .taken_at = kNow};
  model::Membership record;
  KeyTimes times{.life = 1000s, .announcement = 60s};

  Node() { record.wireguard_key = text('a'); }
  KeyDecision at(Duration later) const { return next_key_step(keys, record, times, kNow + later); }
  KeyStep step(Duration later = 0s) const { return at(later).step; }
};

TEST_CASE("a key is changed when its life is over, or when an operator wants it") {
  Node node;
  CHECK(node.at(400s) == KeyDecision{.step = KeyStep::rest, .pause = 600s});
  CHECK(node.step(1000s) == KeyStep::prepare);
  node.record.rotate_key = true;
  CHECK(node.step() == KeyStep::prepare);
}

TEST_CASE("a next key is announced, known for a time, taken, and told to be the key") {
  Node node;
  node.keys.next = key('b');
  CHECK(node.step() == KeyStep::announce);
  node.record.wireguard_next_key = text('b');
  CHECK(node.step() == KeyStep::announce);  // killed before it was written down that it is
  node.keys.announced_at = kNow;
  CHECK(node.at(20s) == KeyDecision{.step = KeyStep::rest, .pause = 40s});
  CHECK(node.step(60s) == KeyStep::take);
  node.keys = {.current = key('b'), .taken_at = kNow + 60s};
  CHECK(node.step(60s) == KeyStep::announce);
  node.record.wireguard_key = text('b');
  node.record.wireguard_next_key.clear();
  CHECK(node.at(60s) == KeyDecision{.step = KeyStep::rest, .pause = 1000s});
}

TEST_CASE("a key that the record does not have is announced again before its time counts") {
  Node node;
  node.keys.next = key('b');
  node.keys.announced_at = kNow;
  CHECK(node.step(61s) == KeyStep::announce);  // the store was restored from before
  node.record.wireguard_next_key = text('b');
  node.keys.announced_at = kNow + 100s;  // the clock was set back
  CHECK(node.step(61s) == KeyStep::announce);
  node = {};
  node.record.wireguard_key = text('z');  // the file was lost, and the key made anew
  CHECK(node.step() == KeyStep::announce);
}

}  // namespace
}  // namespace perigee::link
