#include "control/feed.h"

#include <algorithm>
#include <limits>

#include "async/combine.h"
#include "base/text.h"
#include "control/limits.h"
#include "json/json.h"

namespace perigee::control {
namespace {

constexpr int kVersion = 1;

std::string change_line(std::int64_t revision, const std::string& key,
                        const std::optional<std::string>& value) {
  // The value is JSON text already.
  return fmt::format(R"({{"revision":{},"key":{},"value":{}}})"
                     "\n",
                     revision, json::Value(key).dump(), value ? *value : "null");
}

}  // namespace

class Feed::Receiver {
 public:
  explicit Receiver(Feed& feed) : feed_(feed) {
    feed_.receivers_.push_front(-1);
    self_ = feed_.receivers_.begin();
  }
  ~Receiver() {
    feed_.receivers_.erase(self_);
    feed_.sent_.notify_all();
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  std::int64_t sent() const { return *self_; }
  void sent(std::int64_t revision) {
    *self_ = revision;
    feed_.sent_.notify_all();
  }

 private:
  Feed& feed_;
  std::list<std::int64_t>::iterator self_;
};

Feed::Feed(async::Loop& loop, std::string epoch)
    : loop_(loop), epoch_(std::move(epoch)), changed_(loop), sent_(loop) {}

void Feed::set(const std::string& key, std::optional<std::string> value) {
  const auto found = items_.find(key);
  if (found == items_.end() ? !value.has_value() : found->second.value == value) return;
  Item& item = items_[key];
  if (item.revision != 0) by_revision_.erase(item.revision);
  if (item.revision != 0 && !item.value) --tombstones_;
  if (!value) ++tombstones_;
  item = {std::move(value), ++revision_};
  by_revision_[revision_] = key;
  while (tombstones_ > kMaxTombstones) forget_oldest();
  changed_.notify_all();
}

void Feed::forget_oldest() {
  for (auto at = by_revision_.begin(); at != by_revision_.end(); ++at) {
    const auto item = items_.find(at->second);
    if (item->second.value) continue;
    floor_ = std::max(floor_, at->first);
    items_.erase(item);
    by_revision_.erase(at);
    --tombstones_;
    return;
  }
}

const std::string* Feed::find(const std::string& key) const {
  const auto found = items_.find(key);
  return found == items_.end() || !found->second.value ? nullptr : &*found->second.value;
}

std::vector<std::string> Feed::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, item] : items_) {
    if (item.value) out.push_back(key);
  }
  return out;
}

std::optional<std::string> Feed::changes_since(std::int64_t revision) const {
  if (revision < floor_) return std::nullopt;
  std::string out;
  for (auto at = by_revision_.upper_bound(revision); at != by_revision_.end(); ++at)
    out += change_line(at->first, at->second, items_.at(at->second).value);
  return out;
}

std::string Feed::opening(std::int64_t revision) const {
  return json::object({{"version", kVersion},
                       {"epoch", epoch_},
                       {"revision", revision},
                       {"snapshot", false}})
             .dump() +
         "\n";
}

std::string Feed::snapshot() const {
  std::string out =
      json::object(
          {{"version", kVersion}, {"epoch", epoch_}, {"revision", revision_}, {"snapshot", true}})
          .dump() +
      "\n";
  for (const auto& [key, item] : items_) {
    if (item.value) out += change_line(item.revision, key, item.value);
  }
  return out + json::object({{"revision", revision_}, {"synced", true}}).dump() + "\n";
}

std::optional<std::int64_t> Feed::resume_at(std::string_view from) const {
  const auto parts = split_once(from, '-');
  if (!parts || parts->first != epoch_) return std::nullopt;
  const auto revision = parse_uint(parts->second, std::numeric_limits<std::int64_t>::max());
  if (!revision || static_cast<std::int64_t>(*revision) > revision_) return std::nullopt;
  return static_cast<std::int64_t>(*revision);
}

async::Task<Result<void>> Feed::serve(std::string from, http::ResponseWriter& response) {
  Receiver receiver(*this);
  const std::optional<std::int64_t> at = resume_at(from);
  const std::optional<std::string> missed = at ? changes_since(*at) : std::nullopt;
  const std::int64_t now = revision_;
  const std::string text = missed ? opening(*at) + *missed : snapshot();
  CO_TRY_VOID(co_await response.write(text));
  receiver.sent(now);
  co_return co_await stream(receiver, response);
}

async::Task<Result<void>> Feed::stream(Receiver& receiver, http::ResponseWriter& response) {
  for (;;) {
    const MonotonicTime at = loop_.now() + kFeedKeepAlive;
    const std::optional<async::Winner> ended = co_await async::until(
        loop_, at, async::first_of(loop_, changed_since(receiver.sent()), response.closed()));
    if (ended == async::Winner::second) co_return Result<void>();
    const std::int64_t now = revision_;
    const std::optional<std::string> text = changes_since(receiver.sent());
    if (!text)
      co_return co_await response.finish();  // it fell behind: it comes back for a snapshot
    CO_TRY_VOID(co_await response.write(text->empty() ? "{}\n" : *text));
    receiver.sent(now);
  }
}

async::Task<void> Feed::changed_since(std::int64_t revision) {
  while (revision_ <= revision) co_await changed_.wait();
}

bool Feed::all_sent(std::int64_t revision) const {
  return std::ranges::all_of(receivers_, [&](std::int64_t sent) { return sent >= revision; });
}

async::Task<bool> Feed::sent_to_all(std::int64_t revision) {
  while (!all_sent(revision)) co_await sent_.wait();
  co_return true;
}

async::Task<void> Feed::delivered(std::int64_t revision, MonotonicTime at) {
  co_await async::until(loop_, at, sent_to_all(revision));
}

}  // namespace perigee::control
