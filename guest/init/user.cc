#include "init/user.h"

#include <algorithm>
#include <optional>

#include "init/text.h"

namespace perigee::init {
namespace {

struct PasswdEntry {
  std::string_view name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string_view home;
};
struct GroupEntry {
  std::string_view name;
  std::uint32_t gid = 0;
  std::vector<std::string_view> members;
};

std::optional<PasswdEntry> passwd_entry(std::string_view line) {
  const auto fields = split(line, ':');
  if (fields.size() < 6) {
    return std::nullopt;
  }
  const auto uid = parse_number(fields[2]);
  const auto gid = parse_number(fields[3]);
  if (fields[0].empty() || !uid || !gid) {
    return std::nullopt;
  }
  return PasswdEntry{fields[0], *uid, *gid, fields[5]};
}

std::optional<GroupEntry> group_entry(std::string_view line) {
  const auto fields = split(line, ':');
  const auto gid = fields.size() >= 3 ? parse_number(fields[2]) : std::nullopt;
  if (fields[0].empty() || !gid) {
    return std::nullopt;
  }
  GroupEntry entry{fields[0], *gid, {}};
  if (fields.size() > 3) {
    entry.members = split(fields[3], ',');
  }
  return entry;
}

// A name wins over a number, as with chown(1): a user may be called "1000".
std::optional<PasswdEntry> find_user(std::string_view passwd, std::string_view who) {
  std::optional<PasswdEntry> by_number;
  const auto number = parse_number(who);
  for (const std::string_view line : split(passwd, '\n')) {
    const auto entry = passwd_entry(line);
    if (entry && entry->name == who) {
      return entry;
    }
    if (entry && number == entry->uid && !by_number) {
      by_number = entry;
    }
  }
  return by_number;
}

std::optional<std::uint32_t> find_group(std::string_view group, std::string_view which) {
  for (const std::string_view line : split(group, '\n')) {
    const auto entry = group_entry(line);
    if (entry && entry->name == which) {
      return entry->gid;
    }
  }
  return parse_number(which);
}

bool lists(const GroupEntry& entry, std::string_view user) {
  return std::ranges::find(entry.members, user) != entry.members.end();
}

std::vector<std::uint32_t> groups_of(std::string_view group, std::string_view user,
                                     std::uint32_t primary) {
  std::vector<std::uint32_t> gids;
  for (const std::string_view line : split(group, '\n')) {
    const auto entry = group_entry(line);
    if (entry && entry->gid != primary && lists(*entry, user)) {
      gids.push_back(entry->gid);
    }
  }
  return gids;
}

}  // namespace

Result<User> resolve_user(std::string_view spec, std::string_view passwd, std::string_view group) {
  const std::size_t colon = spec.find(':');
  const std::string_view name = spec.substr(0, colon);
  const std::string_view who = name.empty() ? "0" : name;
  const auto entry = find_user(passwd, who);
  const auto number = parse_number(who);
  if (!entry && !number) {
    return fail("user \"" + std::string(who) +
                "\": not in the image's /etc/passwd; add it in the " +
                "Dockerfile or give a numeric uid");
  }
  User user;
  user.uid = entry ? entry->uid : *number;
  user.gid = entry ? entry->gid : 0;
  user.home = entry && !entry->home.empty() ? std::string(entry->home) : "/";
  if (!entry && user.uid == 0) {
    user.home = "/root";
  }
  if (colon != std::string_view::npos) {
    const std::string_view which = spec.substr(colon + 1);
    const auto gid = find_group(group, which);
    if (!gid) {
      return fail("group \"" + std::string(which) +
                  "\": not in the image's /etc/group; add it in " +
                  "the Dockerfile or give a numeric gid");
    }
    user.gid = *gid;
  } else if (entry) {
    user.groups = groups_of(group, entry->name, user.gid);
  }
  return user;
}

}  // namespace perigee::init
