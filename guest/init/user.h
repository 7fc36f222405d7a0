// Who the app runs as: "name|uid[:group|gid]" against the image's /etc/passwd and /etc/group, by
// the rules that Docker users know: a uid without an entry is in group 0 with home "/";
// supplementary groups are those that list the user, unless a group is given. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "init/result.h"

namespace perigee::init {

struct User {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;  // supplementary, without gid
  std::string home = "/";
  bool operator==(const User&) const = default;
};

// `passwd` and `group` are the files' contents; empty when the image has none.
Result<User> resolve_user(std::string_view spec, std::string_view passwd, std::string_view group);

}  // namespace perigee::init
