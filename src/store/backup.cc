#include "store/backup.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.h"
#include "crypto/hash.h"
#include "json/json.h"
#include "store/limits.h"

namespace perigee::store {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::string_view kSeal = "{\"sha256\":\"";

std::string head_line(const Listing& content) {
  return json::object({{"perigee_store_backup", kFormat},
                       {"revision", content.revision},
                       {"entries", static_cast<std::int64_t>(content.entries.size())}})
             .dump() +
         "\n";
}

// Values are JSON texts, but a backup must not depend on it: any bytes come back as they were.
std::string entry_line(const Entry& entry) {
  return json::object({{"key", crypto::base64_encode(entry.key)},
                       {"revision", entry.revision},
                       {"value", crypto::base64_encode(entry.value)}})
             .dump() +
         "\n";
}

std::string seal_line(std::string_view before) {
  return fmt::format("{}{}\"}}\n", kSeal, crypto::sha256_hex(before));
}

Result<Entry> parse_entry(std::string_view line) {
  TRY(const json::Value value, json::parse(line));
  Entry entry;
  TRY(const std::string key, value.require_string("key"));
  TRY(const std::string text, value.require_string("value"));
  TRY(entry.key, crypto::base64_decode(key));
  TRY(entry.value, crypto::base64_decode(text));
  TRY(entry.revision, value.require_int("revision"));
  return entry;
}

// The lines before the seal, which holds.
Result<std::string_view> unsealed(std::string_view text) {
  const auto seal = text.rfind(kSeal);
  if (seal == std::string_view::npos || (seal != 0 && text[seal - 1] != '\n'))
    return fail(Code::data_loss, "not a backup of a store, or its end is missing");
  const std::string_view before = text.substr(0, seal);
  if (text.substr(seal) != seal_line(before))
    return fail(Code::data_loss, "the backup is damaged: its checksum does not match");
  return before;
}

using Content = std::map<std::string, std::string>;

Content content_of(const Listing& listing) {
  Content out;
  for (const Entry& entry : listing.entries) {
    if (entry.key != kLoadingKey) out[entry.key] = entry.value;
  }
  return out;
}

std::string fingerprint(const Content& content) {
  crypto::Sha256 hash;
  for (const auto& [key, value] : content)
    hash.update(fmt::format("{} {} {}\n{}\n", key.size(), value.size(), key, value));
  return hash.hex();
}

Result<void> check_target(const Listing& there, const std::string& mark, Target target) {
  if (target == Target::anything || there.entries.empty()) return {};
  const auto loading = std::ranges::find(there.entries, kLoadingKey, &Entry::key);
  if (loading != there.entries.end() && loading->value == mark) return {};
  if (loading == there.entries.end())
    return fail(Code::conflict, "the store is not empty ({} keys): --force replaces what it has",
                there.entries.size());
  return fail(Code::conflict,
              "other content is half loaded into the store ({} keys): load that, or use --force",
              there.entries.size());
}

// Transactions of a size that every engine takes.
class Batch {
 public:
  explicit Batch(Store& store) : store_(store) {}
  async::Task<Result<void>> put(std::string key, std::string value) {
    bytes_ += value.size();
    transaction_.put(std::move(key), std::move(value));
    return flush_if_full();
  }
  async::Task<Result<void>> remove(std::string key) {
    transaction_.remove(std::move(key));
    return flush_if_full();
  }
  async::Task<Result<void>> flush() {
    if (transaction_.changes.empty()) co_return Result<void>();
    CO_TRY_VOID(co_await store_.commit(std::exchange(transaction_, {})));
    bytes_ = 0;
    co_return Result<void>();
  }

 private:
  async::Task<Result<void>> flush_if_full() {
    // One value may be up to 1 MiB: a batch that would be full with the next is full.
    const bool full = transaction_.changes.size() >= kLoadBatch || bytes_ >= kLoadBatchBytes;
    if (full) co_return co_await flush();
    co_return Result<void>();
  }
  Store& store_;
  Transaction transaction_;
  std::size_t bytes_ = 0;
};

async::Task<Result<void>> write_all(Store& into, std::vector<Entry> entries,
                                    std::vector<std::string> surplus) {
  Batch batch(into);
  for (std::string& key : surplus) CO_TRY_VOID(co_await batch.remove(std::move(key)));
  CO_TRY_VOID(co_await batch.flush());
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::tie(e.revision, e.key); });
  for (Entry& entry : entries) {
    if (entry.key != kLoadingKey)
      CO_TRY_VOID(co_await batch.put(std::move(entry.key), std::move(entry.value)));
  }
  co_return co_await batch.flush();
}

}  // namespace

std::string encode_backup(const Listing& content) {
  std::string out = head_line(content);
  for (const Entry& entry : content.entries) out += entry_line(entry);
  return out + seal_line(out);
}

Result<Listing> parse_backup(std::string_view text) {
  TRY(const std::string_view before, unsealed(text));
  std::vector<std::string_view> lines = split(before, '\n');
  if (lines.empty() || !lines.back().empty()) return fail(Code::data_loss, "a line without end");
  lines.pop_back();
  if (lines.empty()) return fail(Code::data_loss, "a backup without its first line");
  TRY(const json::Value head, json::parse(lines.front()));
  TRY(const std::int64_t format, head.require_int("perigee_store_backup"));
  if (format != kFormat)
    return fail(Code::unsupported, "format {} of a backup; this version knows {}", format, kFormat);
  Listing content;
  TRY(content.revision, head.require_int("revision"));
  TRY(const std::int64_t count, head.require_int("entries"));
  for (const std::string_view line : std::span(lines).subspan(1)) {
    TRY(Entry entry, parse_entry(line));
    content.entries.push_back(std::move(entry));
  }
  if (static_cast<std::int64_t>(content.entries.size()) != count)
    return fail(Code::data_loss, "{} entries where {} were announced", content.entries.size(),
                count);
  return content;
}

async::Task<Result<void>> load(Store& into, Listing content, Target target) {
  const Content wanted = content_of(content);
  const std::string mark = json::object({{"content", fingerprint(wanted)}}).dump();
  CO_TRY(const Listing there, co_await into.list("/"));
  const bool unfinished = std::ranges::count(there.entries, kLoadingKey, &Entry::key) > 0;
  if (!unfinished && content_of(there) == wanted) co_return Result<void>();
  CO_TRY_VOID(check_target(there, mark, target));
  std::vector<std::string> surplus;
  for (const auto& [key, value] : content_of(there)) {
    if (!wanted.contains(key)) surplus.push_back(key);
  }
  Transaction begin;
  begin.put(std::string(kLoadingKey), mark);
  CO_TRY_VOID(co_await into.commit(std::move(begin)));
  CO_TRY_VOID(co_await write_all(into, std::move(content.entries), std::move(surplus)));
  CO_TRY(const Listing read_back, co_await into.list("/"));
  if (content_of(read_back) != wanted)
    co_return fail(Code::data_loss,
                   "the store does not hold what was written to it: does a "
                   "control still run?");
  Transaction end;
  end.remove(std::string(kLoadingKey));
  CO_TRY_VOID(co_await into.commit(std::move(end)));
  co_return Result<void>();
}

async::Task<Result<void>> check_loaded(Store& store) {
  CO_TRY(const auto loading, co_await store.get(std::string(kLoadingKey)));
  if (!loading) co_return Result<void>();
  co_return fail(Code::data_loss,
                 "the store is half loaded: run `perigee store migrate` or "
                 "`restore` again, which goes on where it was");
}

}  // namespace perigee::store
