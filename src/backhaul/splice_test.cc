// What becomes of each direction when one end stops, with streams that do as they are told.
#include "backhaul/splice.h"

#include <doctest/doctest.h>

#include <deque>

#include "async/combine.h"
#include "backhaul/limits.h"
#include "sys/posix_host.h"

namespace perigee::backhaul {
namespace {

// Gives its pieces, then ends, fails, or says nothing more.
class Told : public sys::Stream {
 public:
  enum class Then { end, fail, wait };
  Told(async::Loop& loop, std::deque<std::string> pieces, Then then)
      : never_(loop), pieces_(std::move(pieces)), then_(then) {}

  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    if (pieces_.empty() && then_ == Then::wait) co_await never_.wait();
    if (pieces_.empty() && then_ == Then::fail) co_return fail(Code::unavailable, "reset");
    if (pieces_.empty()) co_return std::size_t{0};
    const std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    piece.copy(into.data(), into.size());
    co_return piece.size();
  }
  async::Task<Result<void>> write(std::string_view data) override {
    if (deaf) co_return fail(Code::unavailable, "broken pipe");
    heard += data;
    co_return Result<void>();
  }
  Result<std::optional<std::size_t>> try_read(std::span<char>) override { return std::nullopt; }
  void when_readable(async::Waiter& waiter) override { waiter.schedule(); }
  Result<void> shutdown_write() override {
    ended = true;
    return {};
  }
  sys::Address peer() const override { return {}; }
  sys::Address local() const override { return {}; }

  bool deaf = false;
  bool ended = false;  // it was told that no more comes
  std::string heard;

 private:
  async::Event never_;
  std::deque<std::string> pieces_;
  Then then_;
};

struct SpliceFixture {
  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  Traffic traffic;

  // False: it had not ended in time.
  bool splice_ends(Told& near, Told& far, Duration patience) {
    struct Go {
      static async::Task<bool> run(async::Loop& loop, Told& a, Told& b, Traffic& t) {
        co_await splice(loop, a, b, t);
        co_return true;
      }
    };
    async::Loop& loop = host->loop();
    return loop.run(async::until(loop, loop.now() + patience, Go::run(loop, near, far, traffic)))
        .has_value();
  }
  Told told(std::deque<std::string> pieces, Told::Then then) {
    return {host->loop(), std::move(pieces), then};
  }
};

TEST_CASE_FIXTURE(SpliceFixture, "both ends end by themselves, and all arrives") {
  Told near = told({"a", "b"}, Told::Then::end);
  Told far = told({"12", "3"}, Told::Then::end);
  CHECK(splice_ends(near, far, 5s));
  CHECK(near.heard == "123");
  CHECK(far.heard == "ab");
  CHECK(near.ended);
  CHECK(far.ended);
  CHECK(traffic.to_near == 3);
  CHECK(traffic.to_far == 2);
}

TEST_CASE_FIXTURE(SpliceFixture, "the end of one leaves the other direction as it is") {
  Told near = told({"a"}, Told::Then::end);
  Told far = told({"1"}, Told::Then::wait);
  CHECK_FALSE(splice_ends(near, far, 200ms));
  CHECK(far.ended);
  CHECK_FALSE(near.ended);
  CHECK(near.heard == "1");
}

TEST_CASE_FIXTURE(SpliceFixture, "what one said before it stopped taking anything still arrives") {
  Told near = told({"question"}, Told::Then::wait);
  Told far = told({"half", "an answer"}, Told::Then::end);
  far.deaf = true;
  CHECK(splice_ends(near, far, 5s));
  CHECK(near.heard == "halfan answer");
  CHECK(near.ended);
}

TEST_CASE_FIXTURE(SpliceFixture, "one that takes no more and says no more is given up") {
  Told near = told({"question"}, Told::Then::wait);
  Told far = told({}, Told::Then::wait);
  far.deaf = true;
  const MonotonicTime before = host->loop().now();
  CHECK(splice_ends(near, far, 60s));
  CHECK(host->loop().now() - before >= kSpliceLinger);
}

TEST_CASE_FIXTURE(SpliceFixture, "one that is reset ends both directions at once") {
  Told near = told({"a"}, Told::Then::fail);
  Told far = told({}, Told::Then::wait);
  CHECK(splice_ends(near, far, 5s));
  CHECK(far.heard == "a");
}

}  // namespace
}  // namespace perigee::backhaul
