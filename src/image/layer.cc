#include "image/layer.h"

#include <algorithm>
#include <utility>

#include "image/limits.h"
#include "image/tar.h"

namespace perigee::image {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kWhiteoutMeta = ".wh..wh.";  // what aufs left in old images
constexpr std::string_view kOpaque = ".wh..wh..opq";

using Path = std::vector<std::string_view>;

FileKind file_kind(TarKind kind) {
  switch (kind) {
    case TarKind::directory:
      return FileKind::directory;
    case TarKind::symlink:
      return FileKind::symlink;
    case TarKind::character:
      return FileKind::character;
    case TarKind::block:
      return FileKind::block;
    case TarKind::fifo:
      return FileKind::fifo;
    default:
      return FileKind::file;
  }
}

// Attributes that the filesystem can hold and an image may set. overlayfs's own would let an image
// steer how layers are joined.
bool keeps_xattr(std::string_view name) {
  if (name.starts_with("trusted.overlay.")) return false;
  for (const std::string_view prefix : {"user.", "trusted.", "security."}) {
    if (name.starts_with(prefix)) return name.size() > prefix.size();
  }
  return name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

std::vector<Xattr> kept_xattrs(std::vector<Xattr> xattrs) {
  std::erase_if(xattrs, [](const Xattr& x) {
    return !keeps_xattr(x.first) || x.first.size() > kMaxNameBytes || x.second.size() > 0xffff;
  });
  std::ranges::sort(xattrs);
  return xattrs;
}

class Layer {
 public:
  Layer(ByteSource& tar, LayerRole role, unsigned number, Tree& tree, DataSink& data)
      : tar_(tar),
        role_(role),
        number_(static_cast<std::uint16_t>(number)),
        tree_(tree),
        data_(data) {}

  Result<Applied> apply() {
    for (;;) {
      TRY(auto entry, tar_.next());
      if (!entry) break;
      Result<void> applied = apply_entry(*entry);
      if (!applied && needs_lower_) return Applied::needs_lower;
      if (!applied) {
        return fail(std::move(applied).error().with(fmt::format("\"{}\"", entry->path)));
      }
    }
    TRY_VOID(tar_.drain());
    return Applied::whole;
  }

 private:
  Result<void> apply_entry(TarEntry& entry) {
    TRY(Path path, split_path(entry.path));
    if (path.empty()) return set_root(entry);
    const std::string_view name = path.back();
    path.pop_back();
    if (std::ranges::any_of(path, [](auto p) { return p.starts_with(kWhiteoutMeta); })) return {};
    if (name == kOpaque) return set_opaque(path);
    if (name.starts_with(kWhiteoutMeta)) return {};
    if (name.starts_with(kWhiteout)) return remove(path, name.substr(kWhiteout.size()));
    TRY(const InodeId parent, parent_directory(path));
    if (entry.kind == TarKind::hard_link) return hard_link(parent, name, entry.link);
    return put(parent, name, entry);
  }

  std::unexpected<Error> needs_lower() {
    needs_lower_ = true;
    return fail(Code::conflict, "it needs the layers below");
  }

  Result<InodeId> parent_directory(const Path& path) {
    if (role_ == LayerRole::bottom) return tree_.make_directories(path, number_);
    TRY(const auto found, tree_.find_directory(path));
    if (!found) return needs_lower();
    return *found;
  }

  Result<void> set_root(TarEntry& entry) {
    if (entry.kind != TarKind::directory) {
      return fail(Code::data_loss, "the image's root can only be a directory");
    }
    return set_attributes(Tree::kRoot, entry);
  }

  // What a directory that exists takes from a later entry.
  Result<void> set_attributes(InodeId id, TarEntry& entry) {
    TRY(const InodeId fresh, tree_.add(make_inode(entry)));  // counts its attributes
    Inode& from = tree_.at(fresh);
    Inode& to = tree_.at(id);
    to.mode = from.mode;
    to.uid = from.uid;
    to.gid = from.gid;
    to.mtime_s = from.mtime_s;
    to.mtime_ns = from.mtime_ns;
    to.extra->xattrs = std::move(from.extra->xattrs);
    return {};
  }

  Inode make_inode(TarEntry& entry) const {
    Inode inode;
    inode.kind = file_kind(entry.kind);
    inode.mode = entry.mode;
    inode.uid = entry.uid;
    inode.gid = entry.gid;
    inode.mtime_s = entry.mtime_s;
    inode.mtime_ns = entry.mtime_ns;
    inode.device_major = entry.device_major;
    inode.device_minor = entry.device_minor;
    std::vector<Xattr> xattrs = kept_xattrs(std::move(entry.xattrs));
    const bool named = inode.kind == FileKind::directory || inode.kind == FileKind::symlink;
    if (named || !xattrs.empty()) inode.extra = std::make_unique<InodeExtra>();
    if (!xattrs.empty()) inode.extra->xattrs = std::move(xattrs);
    if (inode.kind == FileKind::symlink) inode.extra->target = std::move(entry.link);
    return inode;
  }

  Result<void> put(InodeId parent, std::string_view name, TarEntry& entry) {
    if (entry.kind == TarKind::symlink) TRY_VOID(verify_target(entry.link));
    const auto old = tree_.find(parent, name);
    const bool directory = entry.kind == TarKind::directory;
    if (old && directory && tree_.at(old->id).kind == FileKind::directory) {
      TRY_VOID(set_attributes(old->id, entry));
      return tree_.link(parent, name, {old->id, number_});
    }
    Inode inode = make_inode(entry);
    if (role_ == LayerRole::bottom && inode.is_whiteout()) {
      tree_.unlink(parent, name);
      return {};
    }
    // What this layer had there first, ".wh.NAME" or a file, has hidden a directory NAME below: the
    // new one is not to be joined with that.
    if (directory && old && role_ == LayerRole::overlay) inode.opaque = true;
    if (entry.kind == TarKind::file) TRY_VOID(store_data(entry, inode));
    TRY(const InodeId id, tree_.add(std::move(inode)));
    return tree_.link(parent, name, {id, number_});
  }

  static Result<void> verify_target(std::string_view target) {
    if (target.empty() || target.size() > kMaxLinkBytes || target.find('\0') != target.npos) {
      return fail(Code::data_loss, "the symbolic link's target is empty or too long");
    }
    return {};
  }

  Result<void> store_data(const TarEntry& entry, Inode& inode) {
    inode.size = entry.size;
    if (entry.size == 0) return {};
    TRY(inode.first_block, data_.begin_file(entry.size));
    for (;;) {
      TRY(const auto piece, tar_.piece());
      if (!piece) break;
      TRY_VOID(data_.write(piece->offset, piece->data));
    }
    return data_.end_file();
  }

  Result<void> hard_link(InodeId parent, std::string_view name, std::string_view link) {
    TRY(Path path, split_path(link));
    if (path.empty()) return fail(Code::data_loss, "a hard link to the image's root");
    const std::string_view target_name = path.back();
    path.pop_back();
    TRY(const auto directory, tree_.find_directory(path));
    std::optional<Name> target;
    if (directory) target = tree_.find(*directory, target_name);
    if (!target || (role_ == LayerRole::overlay && tree_.at(target->id).is_whiteout())) {
      if (role_ == LayerRole::overlay) return needs_lower();
      return fail(Code::data_loss, "a hard link to \"{}\", which is not there", link);
    }
    if (tree_.at(target->id).kind == FileKind::directory) {
      return fail(Code::data_loss, "a hard link to the directory \"{}\"", link);
    }
    return tree_.link(parent, name, {target->id, number_});
  }

  // A whiteout hides what lower layers have, never what this layer has.
  Result<void> remove(const Path& path, std::string_view name) {
    if (name.empty() || name == "." || name == "..") {
      return fail(Code::data_loss, "a whiteout of nothing");
    }
    if (role_ == LayerRole::bottom) return remove_below(path, name);
    TRY(const InodeId parent, parent_directory(path));
    const auto old = tree_.find(parent, name);
    if (old) {
      Inode& inode = tree_.at(old->id);
      if (inode.kind == FileKind::directory) inode.opaque = true;
      return {};
    }
    Inode whiteout;
    whiteout.kind = FileKind::character;
    TRY(const InodeId id, tree_.add(std::move(whiteout)));
    return tree_.link(parent, name, {id, number_});
  }

  Result<void> remove_below(const Path& path, std::string_view name) {
    TRY(const auto parent, tree_.find_directory(path));
    if (!parent) return {};
    const auto old = tree_.find(*parent, name);
    if (!old) return {};
    const Inode& inode = tree_.at(old->id);
    if (inode.kind == FileKind::directory) {
      tree_.remove_older(old->id, number_);
      if (!inode.extra->children.empty()) return {};
    }
    if (old->layer != number_) tree_.unlink(*parent, name);
    return {};
  }

  Result<void> set_opaque(const Path& path) {
    TRY(const InodeId directory, parent_directory(path));
    if (role_ == LayerRole::overlay) {
      // overlayfs joins the layers' roots whatever they say.
      if (directory == Tree::kRoot) return needs_lower();
      tree_.at(directory).opaque = true;
    } else {
      tree_.remove_older(directory, number_);
    }
    return {};
  }

  TarReader tar_;
  LayerRole role_;
  std::uint16_t number_;
  Tree& tree_;
  DataSink& data_;
  bool needs_lower_ = false;
};

}  // namespace

Result<Applied> apply_layer(ByteSource& tar, LayerRole role, unsigned number, Tree& tree,
                            DataSink& data) {
  return Layer(tar, role, number, tree, data).apply();
}

}  // namespace perigee::image
