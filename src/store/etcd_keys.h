// EtcdKeys: where the store's keys lie in etcd, and how the two count revisions.
//
// Below the prefix is the store's content; beside it, at "<prefix>.meta/", what the engine keeps
// for itself (docs/formats/store.md). The store's revisions count from the write of its format
// record, etcd's from etcd's own beginning. Private to the store's engines.
#pragma once

#include <string>
#include <string_view>

#include "store/rules.h"
#include "store/store.h"

namespace perigee::store::etcd {

struct EtcdKeys {
  std::string prefix;  // "/perigee"
  Revision base = 0;   // etcd's revision of the format record: the store's revision 0

  std::string of(std::string_view key) const { return prefix + std::string(key); }
  // The store's keys all begin with "/", so that of the prefix "" have one that bounds them.
  std::string first(std::string_view key_prefix) const {
    return of(key_prefix.empty() ? "/" : key_prefix);
  }
  std::string end(std::string_view key_prefix) const {
    return end_of_prefix(first(key_prefix)).value_or("");
  }
  std::string store_key(std::string_view etcd_key) const {
    return std::string(etcd_key.substr(prefix.size()));
  }
  std::string format_record() const { return prefix + ".meta/format"; }
  std::string compaction_record() const { return prefix + ".meta/compaction"; }
  std::string markers() const { return prefix + ".meta/commits/"; }

  Revision to_etcd(Revision revision) const { return base + revision; }
  Revision from_etcd(Revision revision) const { return revision - base; }
};

}  // namespace perigee::store::etcd
