#include "http/input.h"

#include <algorithm>
#include <cstring>

#include "async/combine.h"
#include "base/check.h"

namespace perigee::http {
namespace {

constexpr std::size_t kSteps = 128;  // of a decoder in one read; a chunk is three or four
constexpr std::size_t kKeptCapacity = 16 * 1024;
constexpr std::size_t kWaitRoom = 4 * 1024;  // the rest of a burst is then read without copying

}  // namespace

void Input::consume(std::size_t size) {
  PERIGEE_CHECK(size <= end_ - start_);
  start_ += size;
  if (start_ != end_ || filling_) return;  // a read in flight keeps its place
  start_ = end_ = 0;
  if (capacity_ > kKeptCapacity) release();
}

void Input::release() {
  PERIGEE_CHECK(empty() && !filling_);
  buffer_.reset();
  start_ = end_ = capacity_ = 0;
}

// Behind what is held; at least `room`.
std::span<char> Input::make_room(std::size_t room) {
  if (start_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + start_, end_ - start_);
    end_ -= start_;
    start_ = 0;
  }
  if (capacity_ - end_ < room) {
    auto larger = std::make_unique_for_overwrite<char[]>(end_ + room);
    if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
    buffer_ = std::move(larger);
    capacity_ = end_ + room;
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

Result<void> Input::take_ready(std::size_t room) {
  TRY(const std::optional<std::size_t> n, stream_.try_read(make_room(room)));
  if (!n) return {};
  if (*n == 0) ended_ = true;
  end_ += *n;
  return {};
}

async::Task<Result<void>> Input::more(std::size_t room) {
  if (ended_) co_return Result<void>();
  if (filling_) {
    co_await arrived_.wait();
    co_return Result<void>();
  }
  struct Filling {
    Input& input;
    explicit Filling(Input& i) : input(i) { input.filling_ = true; }
    ~Filling() {
      input.filling_ = false;
      input.arrived_.notify_all();
    }
  } filling(*this);
  const std::span<char> into = make_room(room);
  CO_TRY(const std::size_t n, co_await stream_.read(into));
  if (n == 0) ended_ = true;
  end_ += n;
  co_return Result<void>();
}

Result<std::optional<std::size_t>> Input::try_read(std::span<char> into) {
  PERIGEE_CHECK(empty());
  if (ended_) return 0;
  TRY(const std::optional<std::size_t> n, stream_.try_read(into));
  if (n && *n == 0) ended_ = true;
  return n;
}

std::optional<std::uint64_t> BodyReader::length() const {
  switch (framing_.kind) {
    case Framing::Kind::none:
      return 0;
    case Framing::Kind::length:
      return framing_.length;
    case Framing::Kind::chunked:
    case Framing::Kind::until_close:
      return std::nullopt;
  }
  return std::nullopt;
}

std::size_t BodyReader::ready() const {
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(decoder_.contiguous(), input_.view().size()));
}

async::Task<Result<std::size_t>> BodyReader::read(std::span<char> into) {
  PERIGEE_CHECK(!into.empty());
  for (;;) {
    CO_TRY(const std::optional<std::size_t> n, take(into));
    if (n) co_return *n;
    CO_TRY_VOID(co_await wait());
  }
}

// What can be had without waiting; nullopt: nothing yet.
Result<std::optional<std::size_t>> BodyReader::take(std::span<char> into) {
  // Of several chunks: each may be a byte, and what is read is sent on by a call for each read. Not
  // of all: others wait meanwhile.
  std::size_t taken = 0;
  std::size_t steps = 0;
  while (!decoder_.done()) {
    if (!input_.empty() && taken < into.size() && (taken == 0 || steps < kSteps)) {
      ++steps;
      const Result<std::size_t> n = broken_ ? fail(*broken_) : take_buffered(into.subspan(taken));
      if (!n && taken == 0) return fail(n.error());
      if (!n) {
        broken_ = n.error();  // told after what came before it
        return taken;
      }
      taken += *n;
      continue;
    }
    if (taken > 0) return taken;
    if (input_.ended()) {
      TRY_VOID(end());
      continue;
    }
    const std::uint64_t contiguous = decoder_.contiguous();
    if (contiguous == 0) return std::nullopt;
    const auto part =
        into.first(static_cast<std::size_t>(std::min<std::uint64_t>(contiguous, into.size())));
    TRY(const std::optional<std::size_t> n, input_.try_read(part));
    if (!n) return std::nullopt;
    decoder_.skip(*n);
    if (*n > 0) return *n;
  }
  return taken;
}

Result<std::size_t> BodyReader::take_buffered(std::span<char> into) {
  const auto step = decoder_.step(input_.view().substr(0, into.size()));
  if (!step) return fail(Code::invalid_argument, "malformed body: {}", step.error().why);
  if (!step->data.empty()) std::memcpy(into.data(), step->data.data(), step->data.size());
  const std::size_t size = step->data.size();
  input_.consume(step->consumed);
  return size;
}

Result<void> BodyReader::end() {
  if (const auto ended = decoder_.end_of_input(); !ended) {
    return fail(Code::end_of_stream, "{}", ended.error().why);
  }
  return {};
}

async::Task<Result<void>> BodyReader::wait() {
  if (timeout_ == Duration::zero()) co_return co_await input_.more(kWaitRoom);
  co_return co_await async::with_deadline(loop_, loop_.deadline_in(timeout_),
                                          input_.more(kWaitRoom), "body");
}

}  // namespace perigee::http
