#include "feed/reader.h"

#include "feed/limits.h"

namespace perigee::feed {
namespace {

constexpr std::int64_t kVersion = 1;

}  // namespace

std::string Reader::position() const {
  return epoch_.empty() ? std::string() : fmt::format("{}-{}", epoch_, revision_);
}

void Reader::restart() {
  buffer_.clear();
  opened_ = false;
  snapshot_.reset();
}

Result<void> Reader::feed(std::string_view bytes) {
  buffer_.append(bytes);
  std::size_t start = 0;
  for (std::size_t end = buffer_.find('\n'); end != std::string::npos;
       end = buffer_.find('\n', start)) {
    TRY_VOID_AS(line(std::string_view(buffer_).substr(start, end - start)), "feed");
    start = end + 1;
  }
  buffer_.erase(0, start);
  if (buffer_.size() > max_line_) {
    return fail(Code::resource_exhausted, "feed: a line is longer than {} bytes", max_line_);
  }
  if (start > 0 && !snapshot_) sink_.settled();
  return {};
}

Result<void> Reader::line(std::string_view text) {
  if (text.empty()) return {};
  TRY(const json::Value value, json::parse(text));
  if (!value.is_object()) return fail(Code::data_loss, "a line is not an object");
  if (!opened_) return opening(value);
  if (value.members().empty()) return {};  // keep-alive
  return change(value);
}

Result<void> Reader::opening(const json::Value& value) {
  TRY(const std::int64_t version, value.require_int("version"));
  if (version != kVersion) {
    return fail(Code::unsupported, "version {}: this program knows {}", version, kVersion);
  }
  TRY(const std::string epoch, value.require_string("epoch"));
  TRY(const std::int64_t revision, value.require_int("revision"));
  TRY(const bool snapshot, value.optional_bool("snapshot", false));
  if (!snapshot && (epoch != epoch_ || revision < revision_)) {
    epoch_.clear();  // ask for everything next time
    return fail(Code::data_loss, "changes of another history than ours, without a snapshot");
  }
  opened_ = true;
  if (snapshot) {
    snapshot_.emplace();
    epoch_.clear();  // until it is complete
    revision_ = 0;
    pending_epoch_ = epoch;
  }
  return {};
}

Result<void> Reader::change(const json::Value& value) {
  TRY(const std::int64_t revision, value.require_int("revision"));
  TRY(const bool synced, value.optional_bool("synced", false));
  if (synced) {
    if (!snapshot_) return {};
    const std::set<std::string> keys = *std::move(snapshot_);
    snapshot_.reset();
    epoch_ = pending_epoch_;
    revision_ = revision;
    sink_.synced(keys);
    return {};
  }
  TRY(const std::string key, value.require_string("key"));
  if (!snapshot_) revision_ = revision;
  const json::Value* content = value.find("value");
  if (content != nullptr && content->is_null()) content = nullptr;
  if (snapshot_ && content != nullptr) {
    if (snapshot_->size() >= kMaxKeys) {
      return fail(Code::resource_exhausted, "more than {} keys", kMaxKeys);
    }
    snapshot_->insert(key);
  }
  sink_.changed(key, content);
  return {};
}

}  // namespace perigee::feed
