// OwnerIndex: which objects belong to what, kept beside a table so that nobody has to search it.
#pragma once

#include <map>
#include <set>

namespace perigee::control {

template <typename Owner, typename Id>
class OwnerIndex {
 public:
  void add(const Owner& owner, const Id& id) { ids_[owner].insert(id); }
  void remove(const Owner& owner, const Id& id) {
    const auto found = ids_.find(owner);
    if (found == ids_.end()) return;
    found->second.erase(id);
    if (found->second.empty()) ids_.erase(found);
  }
  void clear() { ids_.clear(); }
  const std::set<Id>& of(const Owner& owner) const {
    static const std::set<Id> kNone;
    const auto found = ids_.find(owner);
    return found == ids_.end() ? kNone : found->second;
  }

 private:
  std::map<Owner, std::set<Id>> ids_;
};

}  // namespace perigee::control
