#include "router/route_file.h"

#include <algorithm>

#include "base/log.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr unsigned kMode = 0600;

// A large table of which something changes all the time keeps neither this loop nor the disk busy.
Duration pause_after(std::size_t bytes) {
  const auto due = Duration(1s) * static_cast<std::int64_t>(bytes) / kSnapshotRate;
  return std::max<Duration>(kSnapshotPause, due);
}

}  // namespace

async::Task<bool> RouteFile::load() {
  if (path_.empty()) co_return false;
  const auto text = co_await host_.disk.read_file(path_, kMaxSnapshot);
  if (!text) {
    if (text.error().code != Code::not_found)
      log_warning("router", "saved routes: {}", text.error().context);
    co_return false;
  }
  if (const auto loaded = store_.load(*text); !loaded) {
    log_warning("router", "saved routes {}: {}; waiting for control's", path_,
                loaded.error().context);
    co_return false;
  }
  co_return true;
}

void RouteFile::changed() {
  unsaved_ = true;
  dirty_.notify_all();
}

async::Task<void> RouteFile::keep() {
  for (;;) {
    while (!unsaved_) co_await dirty_.wait();
    co_await save();
    co_await host_.loop.sleep(pause_after(written_));
  }
}

async::Task<void> RouteFile::save() {
  if (!unsaved_ || path_.empty()) co_return;
  unsaved_ = false;
  std::string lines = co_await text();
  written_ = lines.size();
  const auto written =
      co_await host_.disk.write_file(path_, std::move(lines), kMode, sys::Durability::synced);
  if (!written) log_warning("router", "save routes: {}", written.error().context);
}

// Requests go on between two pieces.
async::Task<std::string> RouteFile::text() {
  RouteStore::Lines lines(store_);
  std::string out;
  std::size_t piece = 0;
  while (const auto line = lines.next()) {
    out += *line;
    piece += line->size();
    if (piece < kSnapshotPiece) continue;
    piece = 0;
    co_await host_.loop.yield();
  }
  co_return out;
}

}  // namespace perigee::router
