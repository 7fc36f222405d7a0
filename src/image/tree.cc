#include "image/tree.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "image/limits.h"

namespace perigee::image {
namespace {

const Children kNoChildren;

const Children& children_of(const Inode& inode) {
  return inode.extra ? inode.extra->children : kNoChildren;
}

Inode implied_directory() {
  Inode inode;
  inode.kind = FileKind::directory;
  inode.mode = 0755;
  inode.extra = std::make_unique<InodeExtra>();
  return inode;
}

}  // namespace

Result<std::vector<std::string_view>> split_path(std::string_view path) {
  if (path.size() > kMaxPathBytes) {
    return fail(Code::unsupported, "the path \"{}…\" is longer than {} bytes", path.substr(0, 60),
                kMaxPathBytes);
  }
  if (path.find('\0') != path.npos) return fail(Code::data_loss, "a path holds a NUL byte");
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (parts.empty()) return fail(Code::data_loss, "the path \"{}\" leaves the image", path);
      parts.pop_back();
      continue;
    }
    if (part.size() > kMaxNameBytes) {
      return fail(Code::unsupported, "the name \"{}…\" is longer than {} bytes", part.substr(0, 60),
                  kMaxNameBytes);
    }
    parts.push_back(part);
  }
  return parts;
}

Tree::Tree() {
  inodes_.push_back(implied_directory());
}

Result<void> Tree::account(std::size_t bytes) {
  metadata_bytes_ += bytes;
  if (metadata_bytes_ <= kMaxMetadataBytes) return {};
  return fail(Code::unsupported, "names, links and attributes take more than {} MiB",
              kMaxMetadataBytes / kMiB);
}

std::optional<Name> Tree::find(InodeId directory, std::string_view name) const {
  const Children& children = children_of(at(directory));
  const auto it = children.find(name);
  return it == children.end() ? std::nullopt : std::optional(it->second);
}

Result<InodeId> Tree::add(Inode inode) {
  if (inodes_.size() >= kMaxFiles) {
    return fail(Code::unsupported, "it has more than {} files", kMaxFiles);
  }
  if (inode.extra) {
    std::size_t bytes = inode.extra->target.size();
    for (const auto& [name, value] : inode.extra->xattrs) bytes += name.size() + value.size();
    TRY_VOID(account(bytes));
  }
  const auto id = static_cast<InodeId>(inodes_.size());
  inodes_.push_back(std::move(inode));
  return id;
}

Result<void> Tree::link(InodeId directory, std::string_view name, Name entry) {
  constexpr std::size_t kOverhead = 64;  // of a map's node
  const Inode& parent = at(directory);
  Inode& child = at(entry.id);
  if (child.kind == FileKind::directory) {
    if (parent.depth + 1U > kMaxDepth) {
      return fail(Code::unsupported, "directories are nested deeper than {}", kMaxDepth);
    }
    child.depth = static_cast<std::uint16_t>(parent.depth + 1);
    child.extra->parent = directory;
  }
  TRY_VOID(account(name.size() + kOverhead));
  Children& children = parent.extra->children;
  const auto it = children.find(name);
  if (it != children.end()) {
    it->second = entry;
  } else {
    children.emplace(std::string(name), entry);
  }
  return {};
}

void Tree::unlink(InodeId directory, std::string_view name) {
  Children& children = at(directory).extra->children;
  const auto it = children.find(name);
  if (it != children.end()) children.erase(it);
}

void Tree::remove_older(InodeId directory, unsigned layer) {
  std::erase_if(at(directory).extra->children, [&](const auto& child) {
    const Name& name = child.second;
    const Inode& inode = at(name.id);
    if (inode.kind != FileKind::directory) return name.layer < layer;
    remove_older(name.id, layer);  // depth is bounded by kMaxDepth
    return name.layer < layer && inode.extra->children.empty();
  });
}

// A path on its way through the tree: what is still to be walked, last component first.
struct Tree::Walk {
  InodeId at = kRoot;
  std::vector<std::string> rest;
  int hops = 0;
  std::size_t steps = 0;
};

namespace {

std::vector<std::string> reversed(const std::vector<std::string_view>& path) {
  return {path.rbegin(), path.rend()};
}

}  // namespace

// Walks until the end (true) or until the next component is not there (false, and it is still the
// last of `rest`).
Result<bool> Tree::walk(Walk& state) const {
  while (!state.rest.empty()) {
    const std::string name = state.rest.back();
    if (++state.steps > kMaxWalkSteps) {
      return fail(Code::data_loss, "symbolic links make the path too long at \"{}\"", name);
    }
    if (name == "..") {  // only from a symlink's target; the root's parent is the root
      state.at = at(state.at).extra->parent;
      state.rest.pop_back();
      continue;
    }
    const auto found = find(state.at, name);
    if (!found || at(found->id).is_whiteout()) return false;
    const Inode& inode = at(found->id);
    if (inode.kind == FileKind::directory) {
      state.at = found->id;
      state.rest.pop_back();
      continue;
    }
    if (inode.kind != FileKind::symlink) {
      return fail(Code::data_loss, "\"{}\" is used as a directory, but it is none", name);
    }
    if (++state.hops > kMaxSymlinkHops) {
      return fail(Code::data_loss, "symbolic links lead in a circle at \"{}\"", name);
    }
    state.rest.pop_back();
    const std::string& target = inode.extra->target;
    if (target.starts_with('/')) state.at = kRoot;
    const auto parts = split(target, '/');
    for (auto it = parts.rbegin(); it != parts.rend(); ++it) {
      if (!it->empty() && *it != ".") state.rest.emplace_back(*it);
    }
  }
  return true;
}

Result<std::optional<InodeId>> Tree::find_directory(
    const std::vector<std::string_view>& path) const {
  Walk state{.rest = reversed(path)};
  TRY(const bool found, walk(state));
  return found ? std::optional(state.at) : std::nullopt;
}

Result<InodeId> Tree::make_directories(const std::vector<std::string_view>& path, unsigned layer) {
  Walk state{.rest = reversed(path)};
  for (;;) {
    TRY(const bool found, walk(state));
    if (found) return state.at;
    const std::string name = std::move(state.rest.back());
    state.rest.pop_back();
    if (name.size() > kMaxNameBytes) {
      return fail(Code::unsupported, "a symbolic link leads to a name that is too long");
    }
    TRY(const InodeId made, add(implied_directory()));
    TRY_VOID(link(state.at, name, {made, static_cast<std::uint16_t>(layer)}));
    state.at = made;
  }
}

}  // namespace perigee::image
