// FrameGuard alone: what it lets through, what it does not, wherever frames are cut.
#include "http2/frame_guard.h"

#include <set>

#include "http2/user_test_fixture.h"

namespace perigee::http2 {
namespace {

constexpr MonotonicTime kStart{0};

FrameGuard guard_after_preface() {
  FrameGuard guard(kUserFrames, kStart);
  CHECK_FALSE(guard.see(kPreface, kStart).has_value());
  return guard;
}

std::string many(std::size_t count, const std::string& one) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += one;
  return all;
}

struct Flood {
  std::string name;
  std::string one;
  std::size_t allowed;  // at once
  Refusal refusal;
};

std::vector<Flood> floods() {
  const std::string word(4, '\1');
  return {
      {"resets", frame(kReset, 0, 1, word), kUserFrames.resets.burst, Refusal::resets},
      {"pings", frame(kPing, 0, 0, word + word), kUserFrames.pings.burst, Refusal::pings},
      {"settings", frame(kSettings, 0, 0), kUserFrames.settings.burst, Refusal::settings},
      {"empty data", frame(kData, 0, 1), kUserFrames.empty.burst, Refusal::empty_frames},
      {"priorities", frame(kPriority, 0, 1, word + "\1"), kUserFrames.others.burst,
       Refusal::other_frames},
      {"unknown", frame(0xee, 0, 0), kUserFrames.others.burst, Refusal::other_frames},
      {"window updates", frame(kWindowUpdate, 0, 0, word), kUserFrames.window_updates.burst,
       Refusal::window_updates},
  };
}

TEST_CASE("each flood is told when it passes its burst, not before") {
  for (const Flood& flood : floods()) {
    CAPTURE(flood.name);
    FrameGuard guard = guard_after_preface();
    CHECK_FALSE(guard.see(many(flood.allowed, flood.one), kStart).has_value());
    CHECK(guard.see(flood.one, kStart) == flood.refusal);
  }
}

TEST_CASE("what is allowed comes back with time, up to the burst") {
  for (const Flood& flood : floods()) {
    CAPTURE(flood.name);
    FrameGuard guard = guard_after_preface();
    CHECK_FALSE(guard.see(many(flood.allowed, flood.one), kStart).has_value());
    CHECK_FALSE(guard.see(flood.one, kStart + 1s).has_value());
    CHECK_FALSE(guard.see(many(flood.allowed, flood.one), kStart + 1000s).has_value());
    CHECK(guard.see(flood.one, kStart + 1000s) == flood.refusal);
  }
}

TEST_CASE("frames are told apart wherever they are cut") {
  const std::string bytes =
      std::string(kPreface) +
      many(kUserFrames.settings.burst, frame(kSettings, 0, 0, std::string(6, '\3'))) +
      frame(kData, 0, 1, std::string(300, '\4')) + frame(kSettings, 0, 0);
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{10}, bytes.size()}) {
    CAPTURE(size);
    FrameGuard guard(kUserFrames, kStart);
    std::size_t at = 0;
    std::optional<Refusal> excess;
    for (; at < bytes.size() && !excess; at += size) {
      excess = guard.see(std::string_view(bytes).substr(at, size), kStart);
    }
    CHECK(excess == Refusal::settings);
    CHECK(at >= bytes.size());  // by the last frame, no earlier one
  }
}

TEST_CASE("the end of a message is no empty frame, and an acknowledgement no setting") {
  FrameGuard guard = guard_after_preface();
  CHECK_FALSE(guard.see(many(1000, frame(kData, kEndStream, 1)), kStart).has_value());
  CHECK_FALSE(guard.see(many(1000, frame(kSettings, 0x1, 0)), kStart).has_value());
}

TEST_CASE("a head has a bound for its frames and for its bytes, and a time") {
  FrameGuard guard = guard_after_preface();
  CHECK_FALSE(guard.waiting_since().has_value());
  CHECK_FALSE(guard.see(frame(kHeaders, 0, 1, "x"), kStart + 1s).has_value());
  CHECK(guard.waiting_since() == kStart + 1s);
  const std::string more = frame(kContinuation, 0, 1, "x");
  CHECK_FALSE(guard.see(many(kUserFrames.continuations - 1, more), kStart + 2s).has_value());
  CHECK(guard.waiting_since() == kStart + 1s);
  CHECK_FALSE(guard.see(frame(kContinuation, kEndHeaders, 1, "x"), kStart + 3s).has_value());
  CHECK_FALSE(guard.waiting_since().has_value());
  CHECK_FALSE(guard.see(frame(kHeaders, 0, 3, "x"), kStart + 4s).has_value());
  CHECK(guard.see(many(kUserFrames.continuations + 1, more), kStart + 4s) ==
        Refusal::continuations);

  FrameGuard large = guard_after_preface();
  const std::string part(kUserFrames.head_bytes / 4, 'x');
  CHECK_FALSE(large.see(frame(kHeaders, 0, 1, part), kStart).has_value());
  CHECK_FALSE(large.see(many(3, frame(kContinuation, 0, 1, part)), kStart).has_value());
  CHECK(large.see(more, kStart) == Refusal::head_bytes);
}

TEST_CASE("a preface is waited for") {
  FrameGuard guard(kUserFrames, kStart);
  CHECK(guard.waiting_since() == kStart);
  CHECK_FALSE(guard.see(kPreface.substr(0, 23), kStart + 1s).has_value());
  CHECK(guard.waiting_since() == kStart);
  CHECK_FALSE(guard.see(kPreface.substr(23), kStart + 2s).has_value());
  CHECK_FALSE(guard.waiting_since().has_value());
}

TEST_CASE("data of ours makes up for window updates and pings, an answer for a reset") {
  FrameGuard guard = guard_after_preface();
  const std::string word(4, '\1');
  const std::string update = frame(kWindowUpdate, 0, 0, word);
  const std::string ping = frame(kPing, 0, 0, word + word);
  for (int i = 0; i < 5000; ++i) {
    REQUIRE_FALSE(guard.see(update + update + ping, kStart).has_value());
    guard.data_sent();
  }
  const std::string reset = frame(kReset, 0, 1, word);
  CHECK_FALSE(guard.see(many(kUserFrames.resets.burst, reset), kStart).has_value());
  guard.answered();
  CHECK_FALSE(guard.see(reset, kStart).has_value());
  CHECK(guard.see(reset, kStart) == Refusal::resets);
}

TEST_CASE("mistakes that we answer by resets have a bound too") {
  FrameGuard guard = guard_after_preface();
  for (std::uint32_t i = 0; i < kUserFrames.errors.burst; ++i) {
    REQUIRE_FALSE(guard.error_made(kStart).has_value());
  }
  CHECK(guard.error_made(kStart) == Refusal::errors);
}

TEST_CASE("every refusal has a name of its own") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kRefusals; ++i) names.insert(name(static_cast<Refusal>(i)));
  CHECK(names.size() == kRefusals);
}

}  // namespace
}  // namespace perigee::http2
