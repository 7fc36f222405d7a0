#include "sim/stream.h"

#include <algorithm>

namespace perigee::sim {
namespace {

constexpr int kShortReadPerMille = 100;
constexpr int kSplitPerMille = 100;

std::unexpected<Error> broken(const ConnectionEnd& end, std::string_view doing) {
  const bool timed_out = end.broken == Code::deadline_exceeded;
  return fail(*end.broken, "{}: {}", doing,
              timed_out ? "Connection timed out" : "Connection reset by peer");
}

}  // namespace

SimStream::SimStream(SimNetwork& network, std::shared_ptr<Connection> connection, int end)
    : network_(network), connection_(std::move(connection)), end_(end) {}

// As a kernel does when the last descriptor goes: unread data makes it a reset.
SimStream::~SimStream() {
  ConnectionEnd& end = mine();
  end.closed = true;
  if (end.broken) return;
  if (!end.received.empty()) {
    network_.reset(connection_, 1 - end_);
  } else if (!end.end_sent) {
    network_.finish(connection_, 1 - end_);
  }
}

Result<std::optional<std::size_t>> SimStream::try_read(std::span<char> into) {
  ConnectionEnd& end = mine();
  if (end.broken) return broken(end, "read");
  if (end.received.empty()) {
    if (end.end_received) return std::size_t{0};
    return std::nullopt;
  }
  std::size_t n = std::min(into.size(), end.received.size());
  if (n > 1 && network_.random().chance(kShortReadPerMille)) {
    n = 1 + static_cast<std::size_t>(network_.random().below(n));
  }
  std::ranges::copy(end.received.substr(0, n), into.begin());
  end.received.erase(0, n);
  ConnectionEnd& peer = connection_->end(1 - end_);
  peer.unread_sent -= std::min(peer.unread_sent, n);
  peer.writers.wake_all();
  return n;
}

async::Task<Result<std::size_t>> SimStream::read(std::span<char> into) {
  for (;;) {
    CO_TRY(const std::optional<std::size_t> n, try_read(into));
    if (n) co_return *n;
    co_await async::wait_in(network_.loop(), mine().readers);
  }
}

void SimStream::when_readable(async::Waiter& waiter) {
  ConnectionEnd& end = mine();
  if (end.broken || end.end_received || !end.received.empty()) {
    waiter.schedule();
  } else {
    end.readers.push(waiter);
  }
}

async::Task<Result<void>> SimStream::write(std::string_view data) {
  while (!data.empty()) {
    ConnectionEnd& end = mine();
    if (end.broken) co_return broken(end, "write");
    if (end.end_sent) co_return fail(Code::unavailable, "write: Broken pipe");
    const std::size_t window = network_.window(end.node, connection_->end(1 - end_).node);
    if (end.unread_sent >= window) {
      co_await async::wait_in(network_.loop(), end.writers);
      continue;
    }
    std::size_t n = std::min({data.size(), kMaxSegment, window - end.unread_sent});
    if (n > 1 && network_.random().chance(kSplitPerMille)) {
      n = 1 + static_cast<std::size_t>(network_.random().below(n));
    }
    end.unread_sent += n;
    network_.transmit(connection_, 1 - end_, std::string(data.substr(0, n)));
    data.remove_prefix(n);
  }
  co_return Result<void>();
}

Result<void> SimStream::shutdown_write() {
  ConnectionEnd& end = mine();
  if (end.broken) return broken(end, "shutdown");
  if (!std::exchange(end.end_sent, true)) network_.finish(connection_, 1 - end_);
  return {};
}

SimListener::SimListener(SimNetwork& network, NodeIndex node, sys::Address at)
    : network_(network), node_(node), at_(std::move(at)), waits_(network.loop()) {}

SimListener::~SimListener() {
  network_.close_listener(*this);
}

bool SimListener::offer(std::unique_ptr<sys::Stream>& stream) {
  if (waiting_.size() >= kAcceptBacklog) return false;
  waiting_.push_back(std::move(stream));
  waits_.wake_one();
  return true;
}

async::Task<Result<std::unique_ptr<sys::Stream>>> SimListener::accept() {
  while (waiting_.empty()) co_await async::wait_in(network_.loop(), waits_);
  std::unique_ptr<sys::Stream> stream = std::move(waiting_.front());
  waiting_.pop_front();
  co_return std::move(stream);
}

}  // namespace perigee::sim
