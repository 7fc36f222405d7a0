#include "http/client_pool.h"

#include <array>

namespace perigee::http {
namespace {

// A byte or an end on an idle connection means that it is of no more use.
bool is_quiet(sys::Stream& stream) {
  std::array<char, 1> byte;
  const auto read = stream.try_read(byte);
  return read && !read->has_value();
}

}  // namespace

std::unique_ptr<sys::Stream> Pool::take(const sys::Address& address) {
  const auto found = idle_.find(address);
  if (found == idle_.end()) return nullptr;
  auto& list = found->second;
  while (!list.empty()) {
    Idle newest = std::move(list.back());
    list.pop_back();
    --size_;
    const bool fresh = loop_.now() - newest.since < limits_.idle_timeout;
    if (fresh && is_quiet(*newest.stream)) return std::move(newest.stream);
  }
  idle_.erase(found);
  return nullptr;
}

// Where there is no room it takes the place of the oldest one to that address, or has none.
void Pool::put(const sys::Address& address, std::unique_ptr<sys::Stream> stream) {
  auto& list = idle_[address];
  list.push_back({.stream = std::move(stream), .since = loop_.now()});
  if (size_ < limits_.max_idle && list.size() <= limits_.max_idle_per_address) {
    ++size_;
  } else {
    list.pop_front();
  }
}

void Pool::forget(const sys::Address& address) {
  const auto found = idle_.find(address);
  if (found == idle_.end()) return;
  size_ -= found->second.size();
  idle_.erase(found);
}

void Pool::expire() {
  for (auto entry = idle_.begin(); entry != idle_.end();) {
    size_ -= std::erase_if(entry->second, [this](const Idle& idle) {
      return loop_.now() - idle.since >= limits_.idle_timeout;
    });
    entry = entry->second.empty() ? idle_.erase(entry) : std::next(entry);
  }
}

}  // namespace perigee::http
