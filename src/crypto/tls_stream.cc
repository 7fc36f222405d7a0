#include "crypto/tls_stream.h"

#include <utility>

namespace perigee::crypto {
namespace {

constexpr std::size_t kReceive = 4096;           // waiting: small, it lives in the coroutine
constexpr std::size_t kReceiveMore = 17 * 1024;  // then whatever else is there: a whole record
constexpr std::size_t kWriteAtOnce = 64 * 1024;

}  // namespace

TlsStream::TlsStream(SslPtr ssl, std::unique_ptr<sys::Stream> below)
    : session_(std::move(ssl)), below_(std::move(below)) {}

TlsStream::~TlsStream() {
  if (writing_ == Writing::idle) [[maybe_unused]]
    const auto closed = shutdown_write();
}

async::Task<Result<void>> TlsStream::handshake() {
  for (;;) {
    auto progress = session_.handshake();
    auto sent = co_await send_outgoing();  // a failure's alert too
    if (!progress) co_return fail(std::move(progress).error());
    if (!sent) co_return fail(std::move(sent).error());
    if (*progress == TlsSession::Progress::done) co_return Result<void>();
    CO_TRY_VOID(co_await receive());
  }
}

async::Task<Result<void>> TlsStream::receive() {
  std::array<char, kReceive> buffer;
  CO_TRY(const std::size_t n, co_await below_->read(buffer));
  if (n == 0) session_.feed_end();
  session_.feed(std::string_view(buffer.data(), n));
  co_return Result<void>();
}

async::Task<Result<std::size_t>> TlsStream::read(std::span<char> into) {
  for (;;) {
    CO_TRY(const std::optional<std::size_t> n, try_read(into));
    if (n) co_return *n;
    CO_TRY_VOID(co_await receive());
  }
}

Result<std::optional<std::size_t>> TlsStream::try_read(std::span<char> into) {
  for (;;) {
    auto read = session_.read(into);
    if (!read) {
      send_alert();
      return fail(std::move(read).error());
    }
    decrypted_ = read->progress != TlsSession::Progress::done;
    if (!decrypted_) return read->size;
    std::array<char, kReceiveMore> buffer;
    TRY(const std::optional<std::size_t> n, below_->try_read(buffer));
    if (!n) return std::nullopt;
    if (*n == 0) session_.feed_end();
    session_.feed(std::string_view(buffer.data(), *n));
  }
}

void TlsStream::when_readable(async::Waiter& waiter) {
  if (decrypted_) {
    below_->when_readable(waiter);
  } else {
    waiter.schedule();
  }
}

async::Task<Result<void>> TlsStream::send_outgoing() {
  if (writing_ != Writing::idle) co_return fail(Code::data_loss, "TLS write: the stream is broken");
  struct Guard {
    Writing& state;
    ~Guard() {
      if (state == Writing::busy) state = Writing::broken;
    }
  } guard{writing_};
  while (session_.has_outgoing()) {
    writing_ = Writing::busy;
    const std::string records = session_.take_outgoing();
    CO_TRY_VOID(co_await below_->write(records));
    writing_ = Writing::idle;
  }
  co_return Result<void>();
}

async::Task<Result<void>> TlsStream::write(std::string_view data) {
  while (!data.empty()) {
    const std::string_view part = data.substr(0, kWriteAtOnce);
    CO_TRY_VOID(session_.write(part));
    CO_TRY_VOID(co_await send_outgoing());
    data.remove_prefix(part.size());
  }
  co_return Result<void>();
}

// The reader's failure: its alert goes out if nobody is writing and the socket takes it.
void TlsStream::send_alert() {
  if (writing_ != Writing::idle || !session_.has_outgoing()) return;
  writing_ = Writing::closed;
  closing_ = close(session_.take_outgoing());
  closing_.start();
}

Result<void> TlsStream::shutdown_write() {
  if (writing_ != Writing::idle) {
    return fail(Code::data_loss, "TLS close: the stream is broken or closed");
  }
  session_.close_notify();
  writing_ = Writing::closed;
  closing_ = close(session_.take_outgoing());
  closing_.start();
  return {};
}

async::Task<void> TlsStream::close(std::string last) {
  if (!last.empty()) [[maybe_unused]]
    const auto written = co_await below_->write(last);
  [[maybe_unused]] const auto ended = below_->shutdown_write();
}

}  // namespace perigee::crypto
