#include "router/replay_body.h"

#include <doctest/doctest.h>

#include "router/limits.h"
#include "router/test_fixture.h"

namespace perigee::router {
namespace {

// Counts up, so that a byte that is lost or doubled shows.
class Numbers : public http::Body {
 public:
  explicit Numbers(std::size_t size) : size_(size) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    const std::size_t count = std::min({into.size(), size_ - next_, std::size_t{1000}});
    for (char& byte : into.first(count)) byte = static_cast<char>(next_++ % 251);
    co_return count;
  }
  std::optional<std::uint64_t> length() const override { return size_; }
  http::Headers trailers() const override {
    http::Headers fields;
    if (next_ == size_) fields.add("x-sum", "1");
    if (next_ == size_) fields.add("X-Forwarded-For", "6.6.6.6");
    return fields;
  }

 private:
  std::size_t size_;
  std::size_t next_ = 0;
};

std::string numbers(std::size_t size) {
  std::string all(size, '\0');
  for (std::size_t i = 0; i < size; ++i) all[i] = static_cast<char>(i % 251);
  return all;
}

struct Reading {
  std::string some(std::size_t size) {
    std::string out;
    std::string buffer(size, '\0');
    while (out.size() < size) {
      const auto count = posix->loop().run(body.read(std::span(buffer).first(size - out.size())));
      REQUIRE(count.has_value());
      if (*count == 0) break;
      out.append(buffer, 0, *count);
    }
    return out;
  }
  std::unique_ptr<sys::PosixHost> posix = *sys::PosixHost::open(1);
  Numbers source{kMaxReplay + 5000};
  ReplayBody body{source};
};

TEST_CASE_FIXTURE(Reading, "what was read is read again from the start, and the rest after it") {
  body.record();
  CHECK(some(3000) == numbers(3000));
  CHECK(body.rewind());
  CHECK(some(1500) == numbers(1500));
  CHECK(body.rewind());
  CHECK(some(kMaxReplay + 5000) == numbers(kMaxReplay + 5000));
}

TEST_CASE("trailers come behind a body that is read again too, but for our own word") {
  const auto posix = *sys::PosixHost::open(1);
  Numbers source(3000);
  ReplayBody body(source);
  body.record();
  for (int time = 0; time < 2; ++time) {
    CHECK(body.rewind());
    const auto text = posix->loop().run(http::read_all(body, 3000));
    REQUIRE(text.has_value());
    CHECK(*text == numbers(3000));
    REQUIRE(body.trailers().fields().size() == 1);
    CHECK(*body.trailers().find("x-sum") == "1");
  }
}

TEST_CASE_FIXTURE(Reading, "what is not recorded, or too much, can't be read again") {
  CHECK(body.rewind());  // nothing was read
  body.record();
  some(kMaxReplay + 1000);
  CHECK_FALSE(body.rewind());
  Numbers other_source(5000);
  ReplayBody other(other_source);
  std::array<char, 100> buffer{};
  REQUIRE(posix->loop().run(other.read(buffer)).has_value());
  CHECK_FALSE(other.rewind());
  other.record();  // too late
  CHECK_FALSE(other.rewind());
}

TEST_CASE_FIXTURE(Reading, "once the answer is there, what is left to read is all that is kept") {
  body.record();
  some(3000);
  CHECK(body.rewind());
  CHECK(some(1000) == numbers(1000));
  body.forget();
  CHECK(some(4000) == numbers(5000).substr(1000));
  CHECK_FALSE(body.rewind());
}

}  // namespace
}  // namespace perigee::router
