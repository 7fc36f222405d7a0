#include "http/client_exchange.h"

#include <array>

#include "async/combine.h"
#include "async/turn.h"
#include "http/trailers.h"

namespace perigee::http {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}

}  // namespace

Exchange::Exchange(async::Loop& loop, std::weak_ptr<Pool> pool, sys::Address address,
                   std::unique_ptr<sys::Stream> stream)
    : loop_(loop),
      pool_(std::move(pool)),
      address_(address),
      stream_(std::move(stream)),
      input_(loop, *stream_),
      body_failed_(loop),
      progress_(loop.now()) {}

async::Task<std::expected<void, RequestFailure>> Exchange::run(const RequestHead& request,
                                                               std::string_view text, Body* source,
                                                               Deadline deadline) {
  method_ = request.method;
  std::string bytes;
  if (auto written = append_head(bytes, request); !written) {
    co_return std::unexpected(RequestFailure{.error = std::move(written).error()});
  }
  std::optional<Result<void>> received;
  if (source == nullptr) {
    bytes += text;
    received = co_await async::until(loop_, deadline.at, send_and_receive(std::move(bytes)));
  } else {
    sender_ = stream_body(std::move(bytes), *source);
    sender_.start();
    co_await async::first_of(loop_, receive_into(received), watch(deadline));
  }
  if (body_error_) {
    co_return std::unexpected(
        RequestFailure{.error = *body_error_, .sent = true, .from_body = true});
  }
  if (!received) received = fail(Code::deadline_exceeded, "{}: no answer in time", address_);
  if (!*received) {
    co_return std::unexpected(RequestFailure{.error = std::move(*received).error(), .sent = true});
  }
  settle();
  co_return std::expected<void, RequestFailure>();
}

// A server that answers early may close its reading side: the response counts, not the write.
async::Task<Result<void>> Exchange::send_and_receive(std::string bytes) {
  auto written = co_await stream_->write(bytes);
  sent_ = written.has_value();
  if (!written) keep_alive_ = false;
  auto received = co_await receive_head();
  if (!received && !written && silent_) co_return fail(std::move(written).error());
  co_return received;
}

async::Task<void> Exchange::stream_body(std::string start, Body& source) {
  const bool chunked = !source.length().has_value();
  if (!co_await send_piece(start, false)) co_return;
  const auto storage = std::make_unique_for_overwrite<char[]>(kPiece);
  const std::span<char> buffer(storage.get(), kPiece);
  for (;;) {
    auto n = co_await source.read(buffer);
    if (!n) {
      body_error_ = std::move(n).error();
      body_failed_.set();
      co_return;
    }
    if (*n == 0) break;
    if (!co_await send_piece(std::string_view(buffer.data(), *n), chunked)) co_return;
    if (async::turn_is_long(loop_)) co_await loop_.yield();
  }
  if (chunked && !co_await send_piece(last_chunk(source.trailers()), false)) co_return;
  sent_ = true;
}

async::Task<Result<void>> Exchange::send_piece(std::string_view data, bool chunked) {
  std::string chunk;
  if (chunked) append_chunk(chunk, data);
  auto written = co_await stream_->write(chunked ? std::string_view(chunk) : data);
  if (!written) keep_alive_ = false;
  progress_ = loop_.now();
  co_return written;
}

// Ends when the time is up (counted from the body's last progress), or when its source fails.
async::Task<void> Exchange::watch(Deadline deadline) {
  const Duration patience = deadline.at - loop_.now();
  for (;;) {
    const MonotonicTime until = std::max(deadline.at, progress_ + patience);
    if (until <= loop_.now() || body_failed_.is_set()) co_return;
    co_await async::first_of(loop_, sleep_until(loop_, until), body_failed_.wait());
  }
}

async::Task<void> Exchange::receive_into(std::optional<Result<void>>& result) {
  result.emplace(co_await receive_head());
}

async::Task<Result<void>> Exchange::receive_head() {
  for (int interim = 0; interim <= kMaxInterimResponses; ++interim) {
    HeadScanner scanner;
    std::optional<std::size_t> size;
    for (;;) {
      const auto scanned = scanner.scan(input_.view());
      if (!scanned) co_return fail(Code::data_loss, "{}: {}", address_, scanned.error().why);
      size = *scanned;
      if (size) break;
      if (input_.ended()) {
        co_return fail(Code::end_of_stream, "{} closed the connection without a response",
                       address_);
      }
      CO_TRY_VOID(co_await input_.more(kHeadRead));
      if (!input_.empty()) silent_ = false;
    }
    CO_TRY(const bool final, take_head(*size));
    if (final) co_return Result<void>();
  }
  co_return fail(Code::data_loss, "{}: too many interim responses", address_);
}

// Parses the head at the front of the input; false for an interim one.
Result<bool> Exchange::take_head(std::size_t size) {
  auto parsed = parse_response_head(input_.view().substr(0, size));
  if (!parsed) return fail(Code::data_loss, "{}: {}", address_, parsed.error().why);
  input_.consume(size);
  if (parsed->status == 101) return fail(Code::data_loss, "{}: unasked upgrade", address_);
  if (parsed->status < 200) return false;
  const auto framing = response_framing(*parsed, method_);
  if (!framing) return fail(Code::data_loss, "{}: {}", address_, framing.error().why);
  head = *std::move(parsed);
  if (!keeps_alive(head.minor_version, head.headers)) keep_alive_ = false;
  reader_.emplace(loop_, input_, *framing, Duration::zero());
  return true;
}

async::Task<Result<std::size_t>> Exchange::read(std::span<char> into) {
  if (!stream_) co_return 0;
  CO_TRY(const std::size_t n, co_await reader_->read(into));
  settle();
  co_return n;
}

// At the response's end: the connection goes back to the pool if it can serve another request.
void Exchange::settle() {
  if (!stream_ || !reader_->done()) return;
  const auto pool = pool_.lock();
  if (pool && keep_alive_ && sent_ && input_.empty() && !input_.ended()) {
    pool->put(address_, std::move(stream_));
  }
}

}  // namespace perigee::http
