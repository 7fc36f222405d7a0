// KeyFile: this node's WireGuard keys on its disk, and how it changes them without losing a packet
// that can't be sent again (docs/decisions/0019-mesh.md):
//
//   1. prepare_next(): a next key, on disk. Its public key is announced in the node's record, so
//      that every other node takes it as a second entry of this peer.
//   2. announced(now): the record has it. Some time later it is known everywhere.
//   3. switch_to_next(now): from now on it is the key; the record is to say so.
//
// A process that is killed between any two steps goes on with what the file says. The file is for
// its owner alone (mode 0600) and fsynced before a call returns. One loop.
#pragma once

#include <optional>
#include <string>

#include "async/task.h"
#include "base/result.h"
#include "base/time.h"
#include "mesh/keys.h"
#include "sys/host.h"

namespace perigee::mesh {

struct NodeKeys {
  PrivateKey current;
  WallTime taken_at = {};  // when it became the key
  std::optional<PrivateKey> next = std::nullopt;
  std::optional<WallTime> announced_at = std::nullopt;  // `next`, in the node's record
  bool operator==(const NodeKeys&) const = default;
};

std::string to_text(const NodeKeys& keys);
Result<NodeKeys> parse_node_keys(std::string_view text);

class KeyFile {
 public:
  // Makes a first key where there is no file.
  static async::Task<Result<KeyFile>> open(sys::Host& host, std::string path);

  const NodeKeys& keys() const { return keys_; }
  // Where one is prepared already, it stays.
  async::Task<Result<void>> prepare_next();
  async::Task<Result<void>> announced(WallTime now);
  async::Task<Result<void>> switch_to_next(WallTime now);  // `conflict` unless it was announced

 private:
  KeyFile(sys::Host& host, std::string path, NodeKeys keys)
      : host_(&host), path_(std::move(path)), keys_(std::move(keys)) {}
  static async::Task<Result<void>> save(sys::Host& host, std::string path, NodeKeys keys);
  async::Task<Result<void>> replace(NodeKeys keys);

  sys::Host* host_;
  std::string path_;
  NodeKeys keys_;
};

}  // namespace perigee::mesh
