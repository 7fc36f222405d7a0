#include "lab/wan.h"

#include <doctest/doctest.h>

#include "lab/limits.h"

namespace perigee::lab {
namespace {

constexpr MonotonicTime kStart{1'000'000'000};

std::string frame_to(PortNumber port, std::size_t payload = 100) {
  std::string frame(kVirtioHeader, '\0');
  const std::string mac = port_mac(port);
  for (std::size_t i = 0; i < mac.size(); i += 3) {
    frame.push_back(static_cast<char>(std::stoi(mac.substr(i, 2), nullptr, 16)));
  }
  frame.resize(kVirtioHeader + 14 + payload, 'x');
  return frame;
}

// When each frame that is under way arrives.
std::vector<MonotonicTime> arrivals(Wan& wan) {
  std::vector<MonotonicTime> out;
  while (const auto due = wan.next_due()) {
    if (wan.take_due(*due)) out.push_back(*due);
  }
  return out;
}

Wan two_cities(std::uint64_t seed = 1) {
  return {{{.site = 0}, {.site = 1}}, 2, seed};
}

}  // namespace

TEST_CASE("a frame takes the access links and the path, each way") {
  Wan wan({{.site = 0}, {.site = 1}, {.site = 1, .access = 5ms}}, 2, 1);
  wan.set_path(0, 1, {.delay = 40ms});
  wan.receive(0, frame_to(1), kStart);
  CHECK(wan.next_due() == kStart + 40ms);
  CHECK_FALSE(wan.take_due(kStart + (40ms - 1ns)));
  const auto arrived = wan.take_due(kStart + 40ms);
  REQUIRE(arrived);
  CHECK(arrived->from == 0);
  CHECK(arrived->to == 1);
  CHECK(arrived->due == kStart + 40ms);
  CHECK(arrived->frame == frame_to(1));
  wan.receive(2, frame_to(0), kStart);  // a user of the other city
  CHECK(arrivals(wan) == std::vector{kStart + 45ms});
  wan.receive(2, frame_to(1), kStart);  // and that user to its own city
  CHECK(arrivals(wan) == std::vector{kStart + 5ms});
}

TEST_CASE("a frame for nobody is dropped") {
  Wan wan = two_cities();
  wan.receive(0, frame_to(7), kStart);                    // no such port
  wan.receive(0, frame_to(0), kStart);                    // the sender itself
  wan.receive(0, std::string(40, '\xff'), kStart);        // a broadcast
  wan.receive(0, std::string(kVirtioHeader, 0), kStart);  // cut short
  CHECK_FALSE(wan.next_due());
}

TEST_CASE("jitter stays in its bounds, and frames of one sender keep their order") {
  Wan wan = two_cities();
  wan.set_path(0, 1, {.delay = 10ms, .jitter = 4ms});
  MonotonicTime earliest = kStart + 1h;
  MonotonicTime latest = kStart;
  for (int i = 0; i < 500; ++i) {
    const MonotonicTime sent = kStart + i * 100ms;
    wan.receive(0, frame_to(1), sent);
    const auto due = arrivals(wan);
    REQUIRE(due.size() == 1);
    earliest = std::min(earliest, kStart + (due[0] - sent));
    latest = std::max(latest, kStart + (due[0] - sent));
  }
  CHECK(earliest >= kStart + 10ms);
  CHECK(earliest < kStart + 10200us);
  CHECK(latest < kStart + 14ms);
  CHECK(latest > kStart + 13800us);
  const MonotonicTime burst = kStart + 100s;
  for (std::size_t i = 0; i < 500; ++i) wan.receive(0, frame_to(1, i), burst);
  std::size_t next = 0;
  while (const auto arrived = wan.take_due(burst + 1s)) {
    if (arrived->frame.size() == frame_to(1, next).size()) ++next;
  }
  CHECK(next == 500);
}

TEST_CASE("the share of frames that is lost is the one that was set") {
  Wan wan = two_cities();
  wan.set_path(0, 1, {.loss = 0.1});
  for (int i = 0; i < 20'000; ++i) {
    wan.receive(0, frame_to(1), kStart);
    wan.take_due(kStart);
  }
  CHECK(wan.counters(0, 1).lost > 1850);
  CHECK(wan.counters(0, 1).lost < 2150);
  CHECK(wan.counters(0, 1).frames + wan.counters(0, 1).lost == 20'000);
  CHECK(wan.counters(1, 0) == PathCounters{});
}

TEST_CASE("a path of limited rate carries that rate, and no more than its buffer waits") {
  Wan wan = two_cities();
  wan.set_path(0, 1, {.delay = 10ms, .bits_per_second = 8'000'000});  // 1 byte in 1 us
  for (int i = 0; i < 3; ++i) wan.receive(0, frame_to(1, 986), kStart);
  CHECK(arrivals(wan) == std::vector{kStart + 11ms, kStart + 12ms, kStart + 13ms});
  for (int i = 0; i < 200; ++i) wan.receive(0, frame_to(1, 986), kStart + 1s);
  CHECK(wan.counters(0, 1).refused == 99);  // 100 ms are 100 frames, and one is under way
  CHECK(arrivals(wan).back() == kStart + 1s + 10ms + 101ms);
  wan.receive(1, frame_to(0, 986), kStart);  // the other direction is free
  CHECK(arrivals(wan) == std::vector{kStart + 11ms});
}

TEST_CASE("a cut takes what is under way, and healing lets frames through at once") {
  Wan wan = two_cities();
  wan.set_path(0, 1, {.delay = 40ms});
  wan.receive(0, frame_to(1), kStart);
  wan.set_path(0, 1, {.delay = 40ms, .up = false});
  wan.receive(0, frame_to(1), kStart);
  CHECK(arrivals(wan).empty());
  CHECK(wan.counters(0, 1).cut == 2);
  wan.set_path(0, 1, {.delay = 40ms});
  wan.receive(0, frame_to(1), kStart);
  CHECK(arrivals(wan).size() == 1);
}

TEST_CASE("a queue is bounded in bytes, and empties") {
  Wan wan = two_cities();
  wan.set_path(0, 1, {.delay = 1s});
  const std::string frame = frame_to(1, 60'000);
  const std::uint64_t fit = kMaxPathBytes / frame.size();
  for (std::uint64_t i = 0; i < fit + 10; ++i) wan.receive(0, frame, kStart);
  CHECK(wan.counters(0, 1).refused == 10);
  CHECK(wan.queued_bytes() <= kMaxPathBytes);
  CHECK(arrivals(wan).size() == fit);
  CHECK(wan.queued_bytes() == 0);
  wan.receive(0, frame, kStart + 2s);
  CHECK(arrivals(wan).size() == 1);
}

TEST_CASE("large frames are for cities whose paths lose nothing and have no bound") {
  Wan wan({{.site = 0}, {.site = 1}, {.site = 2}}, 3, 1);
  wan.set_path(0, 1, {.loss = 0.01});
  CHECK_FALSE(wan.may_send_large(0));
  CHECK_FALSE(wan.may_send_large(1));
  CHECK(wan.may_send_large(2));
  wan.set_path(0, 1, {.delay = 1ms});
  CHECK(wan.may_send_large(0));
}

TEST_CASE("the same seed gives the same network, another a different one") {
  const auto course = [](std::uint64_t seed) {
    Wan wan = two_cities(seed);
    wan.set_path(0, 1, {.delay = 20ms, .jitter = 5ms, .loss = 0.2});
    for (int i = 0; i < 100; ++i) wan.receive(0, frame_to(1), kStart + i * 10ms);
    return arrivals(wan);
  };
  CHECK(course(1) == course(1));
  CHECK(course(1) != course(2));
}

}  // namespace perigee::lab
