#include "backhaul/peer.h"

#include <algorithm>
#include <array>

#include "async/combine.h"
#include "base/log.h"

namespace perigee::backhaul {
namespace {

async::Task<void> one_change(async::Notify& changed) {
  co_await changed.wait();
}
async::Task<void> sleep_for(async::Loop& loop, Duration time) {
  co_await loop.sleep(time);
}

}  // namespace

Peer::Peer(sys::Host& host, const sys::Address& at)
    : host_(host),
      at_(at),
      next_dial_(host.loop.now()),
      changed_(host.loop),
      wake_(host.loop),
      tasks_(host.loop) {
  tasks_.spawn(keep());
}

async::Task<ConnectionPtr> Peer::connection(Deadline deadline) {
  used_ = host_.loop.now();
  if (usable_links() + dialing_ < wanted()) wake_.notify_all();
  const MonotonicTime end = std::min(deadline.at, host_.loop.now() + kDialWait);
  for (;;) {
    if (ConnectionPtr found = pick()) co_return found;
    if (!reachable() || host_.loop.now() >= end) co_return nullptr;
    co_await async::first_of(host_.loop, one_change(changed_),
                             sleep_for(host_.loop, kCapacityPoll));
  }
}

bool Peer::reachable() const {
  return usable_links() > 0 || (links_.empty() && !refused_);
}

bool Peer::usable(const http2::Connection& connection) const {
  return !connection.lost() && !connection.going_away() &&
         host_.loop.now() - connection.last_heard() < kSuspect;
}

std::size_t Peer::usable_links() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(links_, [this](const ConnectionPtr& each) { return usable(*each); }));
}

ConnectionPtr Peer::pick() const {
  ConnectionPtr best;
  for (const ConnectionPtr& each : links_) {
    if (!usable(*each) || each->streams() >= each->max_streams()) continue;
    if (!best || each->streams() < best->streams()) best = each;
  }
  return best;
}

std::size_t Peer::wanted() const {
  if (!used_ || host_.loop.now() - *used_ > kBusyTime) return kIdleConnections;
  std::size_t streams = 0;
  for (const ConnectionPtr& each : links_) streams += each->streams();
  return std::clamp(streams / kStreamsPerConnection + 1, kBusyConnections, kMaxConnections);
}

// Pings, ends what is dead or too many, and dials what is missing.
async::Task<void> Peer::keep() {
  MonotonicTime next_ping = host_.loop.now();
  for (;;) {
    if (host_.loop.now() >= next_ping) {
      look_after_links();
      next_ping = host_.loop.now() + kPingInterval;
    }
    dial_missing();
    keep_spares();
    const Duration pause = next_ping - host_.loop.now();
    co_await async::first_of(host_.loop, one_change(wake_), sleep_for(host_.loop, pause));
  }
}

void Peer::look_after_links() {
  std::size_t spare = usable_links() - std::min(usable_links(), wanted());
  for (const ConnectionPtr& each : links_) {
    if (each->rtt().known()) rtt_ = each->rtt().lowest();
    if (host_.loop.now() - each->last_heard() > kDead) {
      each->abort(Error::make(Code::unavailable, fmt::format("{} does not answer", at_)));
    } else if (spare > 0 && usable(*each) && each->streams() == 0) {
      --spare;
      tasks_.spawn(retire(each));
    } else {
      each->ping();
    }
  }
}

// One at a time, and not at once, to a node that refused. A dial may have failed when it returns
// (no route), and has then said when the next one is due.
void Peer::dial_missing() {
  const auto due = [this] {
    return host_.loop.now() >= next_dial_ && usable_links() + dialing_ < (refused_ ? 1 : wanted());
  };
  while (due()) {
    ++dialing_;
    tasks_.spawn(dial());
  }
}

async::Task<void> Peer::retire(ConnectionPtr connection) {
  co_await connection->drain();
}

async::Task<void> Peer::dial() {
  auto stream = co_await host_.network.connect(at_, host_.loop.deadline_in(kConnectTimeout));
  --dialing_;
  if (!stream) {
    if (!refused_) log_warning("backhaul", "{}", stream.error().context);
    refused_ = true;
    next_dial_ = host_.loop.now() + redial_;
    redial_ = std::min(redial_ * 2, kLastRedial);
  } else {
    refused_ = false;
    redial_ = kFirstRedial;
    auto connection =
        std::make_shared<http2::Connection>(host_.loop, *std::move(stream), http2::Role::client);
    links_.push_back(connection);
    tasks_.spawn(run_link(std::move(connection)));
  }
  wake_.notify_all();
  changed_.notify_all();
}

async::Task<void> Peer::run_link(ConnectionPtr connection) {
  connection->ping();
  co_await connection->run();
  std::erase(links_, connection);
  wake_.notify_all();
  changed_.notify_all();
}

// ---- tunnels ----

async::Task<Result<std::unique_ptr<sys::Stream>>> Peer::tunnel(Deadline deadline) {
  tunneled_ = host_.loop.now();
  auto spare = take_spare();
  wake_.notify_all();
  if (spare) co_return std::move(spare);
  if (!reachable()) co_return fail(Code::unavailable, "{} does not answer", at_);
  deadline.at = std::min(deadline.at, host_.loop.now() + kConnectTimeout);
  co_return co_await host_.network.connect(at_, deadline);
}

// Null where there is none that the other side has left open.
std::unique_ptr<sys::Stream> Peer::take_spare() {
  std::array<char, 1> byte{};
  while (!spares_.empty() && reachable()) {
    auto spare = std::move(spares_.back());
    spares_.pop_back();
    const auto read = spare->try_read(byte);
    if (read && !read->has_value()) return spare;
  }
  return nullptr;
}

void Peer::keep_spares() {
  const bool used = tunneled_ && host_.loop.now() - *tunneled_ <= kBusyTime;
  if (!used) spares_.clear();
  if (!used || usable_links() == 0) return;
  for (std::size_t i = spares_.size() + dialing_spares_; i < kSpareTunnels; ++i) {
    ++dialing_spares_;
    tasks_.spawn(dial_spare());
  }
}

async::Task<void> Peer::dial_spare() {
  auto stream = co_await host_.network.connect(at_, host_.loop.deadline_in(kConnectTimeout));
  --dialing_spares_;
  if (stream) spares_.push_back(*std::move(stream));
}

}  // namespace perigee::backhaul
