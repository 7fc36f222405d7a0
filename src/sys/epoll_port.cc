#include "sys/epoll_port.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"

namespace perigee::sys {
namespace {

constexpr std::uint64_t kWakeTag = ~std::uint64_t{0};
constexpr int kEventBatch = 1024;

std::uint64_t tag(std::uint32_t slot, std::uint32_t generation) {
  return (std::uint64_t{generation} << 32) | slot;
}

}  // namespace

Result<std::unique_ptr<EpollPort>> EpollPort::open() {
  TRY(Fd epoll, own(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
  TRY(Fd wake_fd, own(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kWakeTag}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake_fd.get(), &event) < 0) {
    return fail(errno_error(errno, "epoll_ctl"));
  }
  return std::unique_ptr<EpollPort>(new EpollPort(std::move(epoll), std::move(wake_fd)));
}

EpollPort::EpollPort(Fd epoll, Fd wake_fd) : epoll_(std::move(epoll)), wake_(std::move(wake_fd)) {}
EpollPort::~EpollPort() = default;

MonotonicTime EpollPort::now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

void EpollPort::wait(std::optional<MonotonicTime> until) {
  std::array<epoll_event, kEventBatch> events;
  timespec timeout{};
  if (until) {
    const std::int64_t ns = std::max<std::int64_t>(0, (*until - now()).count());
    timeout = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }
  const int n =
      ::epoll_pwait2(epoll_.get(), events.data(), kEventBatch, until ? &timeout : nullptr, nullptr);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 == kWakeTag) continue;  // edge-triggered: nothing to read off
    const auto slot = static_cast<std::uint32_t>(event.data.u64);
    const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32);
    if (slot < slots_.size() && slots_[slot].generation == generation &&
        slots_[slot].watch != nullptr) {
      slots_[slot].watch->deliver(event.events);
    }
  }
}

void EpollPort::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

std::uint32_t EpollPort::add(FdWatch* watch) {
  if (free_.empty()) {
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].watch = watch;
  return slot;
}

FdWatch::FdWatch(EpollPort& port, async::Loop& loop, int fd)
    : port_(port), loop_(loop), fd_(fd), readers_(loop), writers_(loop) {
  slot_ = port_.add(this);
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                    .data = {.u64 = tag(slot_, port_.slots_[slot_].generation)}};
  // EPERM: a regular file, always ready.
  if (::epoll_ctl(port_.epoll_.get(), EPOLL_CTL_ADD, fd_, &event) < 0) {
    PERIGEE_CHECK(errno == EPERM || errno == ENOMEM || errno == ENOSPC);
  }
}

FdWatch::~FdWatch() {
  ::epoll_ctl(port_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  port_.slots_[slot_].watch = nullptr;
  ++port_.slots_[slot_].generation;
  port_.free_.push_back(slot_);
}

void FdWatch::deliver(std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    read_ready_ = true;
    readers_.wake_all();
  }
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    write_ready_ = true;
    writers_.wake_all();
  }
}

}  // namespace perigee::sys
