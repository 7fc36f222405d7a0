#include "sim/disk.h"

#include <utility>

namespace perigee::sim {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

// "/a//b/" → "/a/b"
std::string normal(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || out.empty() || out.back() != '/') out.push_back(c);
  }
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

}  // namespace

SimDisk::SimDisk(async::Loop& loop, Random random, Step step)
    : loop_(loop), random_(random), step_(std::move(step)) {
  live_["/"] = durable_["/"] = Entry{.directory = true, .data = {}};
}

async::Task<void> SimDisk::take(Duration low, Duration high) {
  co_await loop_.sleep(random_.between(low, high));
}

async::Task<Result<std::string>> SimDisk::read_file(std::string path, std::uint64_t max_bytes) {
  path = normal(path);
  co_await take(5us, 50us);
  const auto found = live_.find(path);
  if (found == live_.end()) {
    co_return fail(Code::not_found, "read {}: No such file or directory", path);
  }
  if (found->second.directory) co_return fail(Code::internal, "read {}: Is a directory", path);
  if (found->second.data.size() > max_bytes) {
    co_return fail(Code::resource_exhausted, "{}: larger than {} bytes", path, max_bytes);
  }
  co_return found->second.data;
}

async::Task<Result<void>> SimDisk::write_file(std::string path, std::string data, unsigned /*mode*/,
                                              sys::Durability durability) {
  path = normal(path);
  const bool synced = durability == sys::Durability::synced;
  co_await step_("before write " + path);
  co_await take(10us, synced ? 5ms : 100us);
  CO_TRY_VOID(write_now(path, std::move(data), durability));
  co_await step_("after write " + path);
  co_return Result<void>();
}

Result<void> SimDisk::write_now(const std::string& path, std::string data,
                                sys::Durability durability) {
  if (full_) return fail(Code::resource_exhausted, "write {}: No space left on device", path);
  const auto parent = live_.find(parent_of(path));
  if (parent == live_.end() || !parent->second.directory) {
    return fail(Code::not_found, "write {}: No such file or directory", path);
  }
  const auto old = live_.find(path);
  if (old != live_.end() && old->second.directory) {
    return fail(Code::internal, "rename to {}: Is a directory", path);
  }
  live_[path] = Entry{.directory = false, .data = std::move(data)};
  if (durability == sys::Durability::synced) harden(path);
  return {};
}

async::Task<Result<void>> SimDisk::make_directories(std::string path, unsigned /*mode*/) {
  path = normal(path);
  co_await step_("before mkdir " + path);
  co_await take(10us, 100us);
  CO_TRY_VOID(make_directories_now(path));
  co_await step_("after mkdir " + path);
  co_return Result<void>();
}

Result<void> SimDisk::make_directories_now(const std::string& path) {
  if (full_ && !live_.contains(path)) {
    return fail(Code::resource_exhausted, "create {}: No space left on device", path);
  }
  for (std::size_t end = path.find('/', 1); true; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    Entry& entry = live_.try_emplace(part, Entry{.directory = true, .data = {}}).first->second;
    if (!entry.directory) return fail(Code::internal, "create {}: Not a directory", path);
    if (end == std::string::npos) return {};
  }
}

async::Task<Result<void>> SimDisk::remove(std::string path) {
  path = normal(path);
  co_await step_("before remove " + path);
  co_await take(10us, 100us);
  if (const auto found = live_.find(path); found != live_.end()) {
    if (found->second.directory) co_return fail(Code::internal, "remove {}: Is a directory", path);
    live_.erase(found);
  }
  co_await step_("after remove " + path);
  co_return Result<void>();
}

async::Task<Result<void>> SimDisk::remove_tree(std::string path) {
  path = normal(path);
  co_await step_("before remove tree " + path);
  co_await take(10us, 500us);
  const std::string prefix = path + "/";
  std::erase_if(live_, [&](const auto& item) {
    return item.first == path || item.first.starts_with(prefix);
  });
  co_await step_("after remove tree " + path);
  co_return Result<void>();
}

async::Task<Result<std::vector<std::string>>> SimDisk::list(std::string path) {
  path = normal(path);
  co_await take(5us, 50us);
  const auto directory = live_.find(path);
  if (directory == live_.end() || !directory->second.directory) {
    co_return fail(Code::not_found, "list {}: No such file or directory", path);
  }
  const std::string prefix = path == "/" ? path : path + "/";
  std::vector<std::string> names;
  for (auto it = live_.upper_bound(prefix); it != live_.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    std::string name = it->first.substr(prefix.size());
    if (name.find('/') == std::string::npos) names.push_back(std::move(name));
  }
  co_return names;
}

async::Task<Result<bool>> SimDisk::exists(std::string path) {
  path = normal(path);
  co_await take(5us, 50us);
  co_return live_.contains(path);
}

// A sync makes the file and the directories that lead to it durable.
void SimDisk::harden(const std::string& path) {
  for (std::string at = path; at != "/"; at = parent_of(at)) {
    durable_[at] = live_[at];
  }
}

void SimDisk::lose_power() {
  std::set<std::string> touched;
  for (const auto& [path, entry] : live_) {
    const auto old = durable_.find(path);
    if (old == durable_.end() || old->second != entry) touched.insert(path);
  }
  for (const auto& [path, entry] : durable_) {
    if (!live_.contains(path)) touched.insert(path);
  }
  for (const std::string& path : touched) settle(path);
  drop_orphans();
  live_ = durable_;
}

// What the disk holds of `path` after a power loss, into durable_.
void SimDisk::settle(const std::string& path) {
  const auto now = live_.find(path);
  switch (random_.below(3)) {
    case 0:
      return;  // the old state
    case 1:
      if (now == live_.end()) {
        durable_.erase(path);
      } else {
        durable_[path] = now->second;
      }
      return;
    default:  // renamed, but its data never arrived
      if (now != live_.end())
        durable_[path] = Entry{.directory = now->second.directory, .data = {}};
  }
}

void SimDisk::drop_orphans() {
  for (auto it = durable_.begin(); it != durable_.end();) {  // parents come before children
    const auto parent = durable_.find(parent_of(it->first));
    const bool orphan = parent == durable_.end() || !parent->second.directory;
    it = orphan ? durable_.erase(it) : std::next(it);
  }
}

std::optional<std::string> SimDisk::content(const std::string& path) const {
  const auto found = live_.find(normal(path));
  if (found == live_.end() || found->second.directory) return std::nullopt;
  return found->second.data;
}

std::vector<std::string> SimDisk::paths() const {
  std::vector<std::string> all;
  for (const auto& [path, entry] : live_) all.push_back(path);
  return all;
}

}  // namespace perigee::sim
