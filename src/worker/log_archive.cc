#include "worker/log_archive.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"
#include "vm/output_log.h"
#include "worker/limits.h"
#include "worker/machine_store.h"

namespace perigee::worker {
namespace {

constexpr unsigned kDirectoryMode = 0700;
constexpr unsigned kFileMode = 0600;
constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr std::array<std::string_view, 2> kFiles{vm::kOldOutputLog, vm::kOutputLog};

// "1795493006-81920-148e…" of a directory; nullopt for anything else there.
std::optional<ArchivedLog> log_of(const AppName& app, const std::string& parent,
                                  const std::string& name) {
  const auto parts = split(name, '-');
  if (parts.size() != 3) return std::nullopt;
  const auto seconds = parse_uint(parts[0], std::numeric_limits<std::int32_t>::max() * 8ULL);
  const auto bytes = parse_uint(parts[1], std::numeric_limits<std::int64_t>::max());
  const MachineId machine{std::string(parts[2])};
  if (!seconds || !bytes || !is_safe_id(machine)) return std::nullopt;
  return ArchivedLog{.app = app,
                     .machine = machine,
                     .ended_at = {static_cast<std::int64_t>(*seconds) * kNanoseconds},
                     .bytes = *bytes,
                     .directory = fmt::format("{}/{}", parent, name)};
}

}  // namespace

std::vector<ArchivedLog> expired(std::vector<ArchivedLog> logs, const LogRetention& retention,
                                 WallTime now) {
  std::ranges::sort(logs, std::ranges::greater(), [](const ArchivedLog& log) {
    return std::pair(log.ended_at.ns, log.machine.str());
  });
  std::vector<ArchivedLog> gone;
  std::uint64_t total = 0;
  for (ArchivedLog& log : logs) {  // newest first
    total += log.bytes;
    const bool old = log.ended_at.ns < now.ns - retention.keep.count();
    if (old || total > retention.destroyed_bytes) gone.push_back(std::move(log));
  }
  return gone;
}

std::string LogArchive::directory_of(const AppName& app) const {
  return fmt::format("{}/{}", directory_, app);
}

async::Task<Result<void>> LogArchive::keep(AppName app, MachineId machine, std::string vm_dir,
                                           WallTime now) {
  std::array<std::string, kFiles.size()> texts;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kFiles.size(); ++i) {
    const auto text =
        co_await disk_.read_file(fmt::format("{}/{}", vm_dir, kFiles[i]), kMaxArchivedFile);
    if (text) texts[i] = *text;
    bytes += texts[i].size();
  }
  if (bytes == 0) co_return Result<void>();
  CO_TRY(const std::vector<ArchivedLog> before, co_await list(app));
  const std::string directory =
      fmt::format("{}/{}-{}-{}", directory_of(app), now.ns / kNanoseconds, bytes, machine);
  CO_TRY_VOID(co_await disk_.make_directories(directory, kDirectoryMode));
  for (std::size_t i = 0; i < kFiles.size(); ++i) {
    if (texts[i].empty()) continue;
    CO_TRY_VOID(co_await disk_.write_file(fmt::format("{}/{}", directory, kFiles[i]),
                                          std::move(texts[i]), kFileMode, sys::Durability::cached));
  }
  for (const ArchivedLog& log : before) {
    if (log.machine == machine && log.directory != directory) {
      CO_TRY_VOID(co_await disk_.remove_tree(log.directory));
    }
  }
  co_return Result<void>();
}

async::Task<Result<std::vector<ArchivedLog>>> LogArchive::list(AppName app) {
  std::vector<ArchivedLog> logs;
  const std::string parent = directory_of(app);
  CO_TRY(const bool there, co_await disk_.exists(parent));
  if (!there) co_return logs;
  CO_TRY(const std::vector<std::string> names, co_await disk_.list(parent));
  for (const std::string& name : names) {
    if (auto log = log_of(app, parent, name)) logs.push_back(*std::move(log));
  }
  std::ranges::sort(logs, {}, [](const ArchivedLog& log) { return log.ended_at.ns; });
  co_return logs;
}

async::Task<Result<void>> LogArchive::prune(WallTime now) {
  CO_TRY(const bool there, co_await disk_.exists(directory_));
  if (!there) co_return Result<void>();
  std::vector<ArchivedLog> all;
  CO_TRY(const std::vector<std::string> apps, co_await disk_.list(directory_));
  for (const std::string& app : apps) {
    CO_TRY(std::vector<ArchivedLog> logs, co_await list(AppName(app)));
    all.insert(all.end(), logs.begin(), logs.end());
  }
  for (const ArchivedLog& log : expired(std::move(all), retention_, now)) {
    CO_TRY_VOID(co_await disk_.remove_tree(log.directory));
  }
  co_return Result<void>();
}

}  // namespace perigee::worker
