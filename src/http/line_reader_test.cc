// Lines of a body that arrives in pieces.
#include <doctest/doctest.h>

#include <algorithm>

#include "http/line_reader.h"

namespace perigee::http {
namespace {

constexpr std::size_t kMaxLine = 100000;

// A body in given pieces.
class Pieces : public Body {
 public:
  explicit Pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    if (next_ == pieces_.size()) co_return 0;
    const std::string& piece = pieces_[next_++];
    std::ranges::copy(piece, into.begin());
    co_return piece.size();
  }
  std::optional<std::uint64_t> length() const override { return std::nullopt; }

 private:
  std::vector<std::string> pieces_;
  std::size_t next_ = 0;
};

// Runs a task that never has to wait.
template <typename T>
T at_once(async::Task<T> task) {
  task.start();
  REQUIRE(task.done());
  return std::move(task).take();
}

TEST_CASE("lines come out whole however they arrive") {
  Pieces body({"on", "e\ntwo\n\nth", "r", "ee", "\n"});
  LineReader lines(body, kMaxLine);
  std::string all;
  for (;;) {
    const auto line = lines.next();
    REQUIRE(line.has_value());
    if (*line) {
      all += std::string(**line) + "|";
    } else if (!at_once(lines.fill())) {
      break;
    }
  }
  CHECK(all == "one|two||three|");
}

TEST_CASE("a line without end is refused") {
  Pieces body(std::vector<std::string>(kMaxLine / 60000 + 2, std::string(60000, 'x')));
  LineReader lines(body, kMaxLine);
  while (lines.next()) REQUIRE(at_once(lines.fill()).has_value());
  CHECK(lines.next().error().code == Code::resource_exhausted);
}

}  // namespace
}  // namespace perigee::http
