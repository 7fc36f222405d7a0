#include "store/etcd_watch_decoder.h"

#include <algorithm>
#include <iterator>

#include "store/limits.h"

namespace perigee::store::etcd {
namespace {

Result<Change> change_from(const json::Value& event) {
  const json::Value* entry = event.find("kv");
  if (entry == nullptr) return fail(Code::data_loss, "etcd: an event without kv");
  TRY(KeyValue read, parse_key_value(*entry));
  TRY(const std::string type, event.optional_string("type", "PUT"));
  if (type != "PUT" && type != "DELETE")
    return fail(Code::data_loss, "etcd: an event of the unknown type {}", type);
  Change change{.revision = read.modified, .key = std::move(read.key), .value = std::nullopt};
  if (type == "PUT") change.value = std::move(read.value);
  return change;
}

std::size_t size_of(const std::vector<Change>& changes) {
  std::size_t size = 0;
  for (const Change& change : changes)
    size += change.key.size() + (change.value ? change.value->size() : 0);
  return size;
}

}  // namespace

Result<void> WatchDecoder::feed(std::string_view bytes) {
  pending_.append(bytes);
  const bool has_line = pending_.find('\n', searched_) != std::string::npos;
  if (has_line || pending_.size() <= kMaxEtcdAnswer) return {};
  return fail(Code::resource_exhausted, "etcd: a watch message of more than {} bytes",
              kMaxEtcdAnswer);
}

std::optional<std::string> WatchDecoder::next_line() {
  for (;;) {
    const auto end = pending_.find('\n', searched_);
    if (end == std::string::npos) {
      searched_ = pending_.size();
      return std::nullopt;
    }
    std::string line = pending_.substr(0, end);
    pending_.erase(0, end + 1);
    searched_ = 0;
    if (!line.empty()) return line;
  }
}

Result<WatchMessage> WatchDecoder::parse(std::string_view line) {
  TRY_AS(const json::Value document, json::parse(line), "etcd's watch");
  const json::Value* result = document.find("result");
  if (result == nullptr) {
    const json::Value* error = document.find("error");
    return fail(Code::unavailable, "etcd ends the watch: {}",
                error == nullptr ? "without a word" : error->dump());
  }
  WatchMessage message;
  TRY(const Revision revision, parse_header(*result));
  TRY(const bool created, result->optional_bool("created", false));
  TRY(message.more_follows, result->optional_bool("fragment", false));
  TRY(message.ended, result->optional_bool("canceled", false));
  TRY(message.compacted, parse_int64(*result, "compact_revision"));
  TRY(message.reason, result->optional_string("cancel_reason"));
  if (const json::Value* events = result->find("events")) {
    for (const json::Value& event : events->items()) {
      TRY(Change change, change_from(event));
      message.changes.push_back(std::move(change));
    }
  }
  // The header of `created` is where etcd is, not how far this watch has come.
  if (!created && !message.ended && message.changes.empty()) message.progress = revision;
  return message;
}

Result<std::vector<Change>> WatchDecoder::complete(WatchMessage message) {
  std::vector<Change> changes = std::move(held_back_);
  held_back_.clear();
  std::ranges::move(message.changes, std::back_inserter(changes));
  if (!std::ranges::is_sorted(changes, {}, &Change::revision))
    return fail(Code::data_loss, "etcd: changes out of order");
  if (!message.more_follows || changes.empty()) return changes;
  const auto last =
      std::ranges::lower_bound(changes, changes.back().revision, {}, &Change::revision);
  held_back_.assign(std::move_iterator(last), std::move_iterator(changes.end()));
  changes.erase(last, changes.end());
  if (size_of(held_back_) > kMaxEtcdAnswer)
    return fail(Code::resource_exhausted, "etcd: changes of one revision of more than {} bytes",
                kMaxEtcdAnswer);
  return changes;
}

}  // namespace perigee::store::etcd
