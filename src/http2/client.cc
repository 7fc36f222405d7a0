#include "http2/client.h"

#include <algorithm>

#include "async/combine.h"
#include "http2/fields.h"

namespace perigee::http2 {
namespace {

async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}

// One request and its response.
class Exchange : public http::Response, public http::Body {
 public:
  Exchange(std::shared_ptr<Connection> connection, StreamPtr stream)
      : connection_(std::move(connection)),
        loop_(connection_->loop()),
        stream_(std::move(stream)),
        body_failed_(loop_),
        progress_(loop_.now()) {}
  ~Exchange() override { connection_->release(*stream_, ErrorCode::cancel); }

  async::Task<std::expected<void, http::RequestFailure>> run(http::Body* source, Deadline deadline);

  http::Body& body() override { return *this; }
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    return connection_->read(stream_, into);
  }
  std::optional<std::uint64_t> length() const override { return length_; }
  std::size_t ready() const override { return stream_->unread.size(); }
  http::Headers trailers() const override { return stream_->trailers; }

 private:
  async::Task<void> send(http::Body& source);
  async::Task<void> head_or_end();
  async::Task<void> watch(Deadline deadline);
  http::RequestFailure failure() const;

  std::shared_ptr<Connection> connection_;
  async::Loop& loop_;
  StreamPtr stream_;
  std::optional<std::uint64_t> length_;
  std::optional<Error> body_error_;
  async::Event body_failed_;
  MonotonicTime progress_;
  async::Task<void> sender_;  // last: uses the others
};

async::Task<std::expected<void, http::RequestFailure>> Exchange::run(http::Body* source,
                                                                     Deadline deadline) {
  if (source != nullptr) {
    sender_ = send(*source);
    sender_.start();
  }
  co_await async::first_of(loop_, head_or_end(), watch(deadline));
  if (!stream_->head) co_return std::unexpected(failure());
  auto parsed = response_from(*stream_->head);
  if (!parsed) {
    co_return std::unexpected(http::RequestFailure{
        .error = Error::make(Code::data_loss,
                             fmt::format("{}: {}", connection_->peer(), parsed.error().why)),
        .sent = true});
  }
  head = *std::move(parsed);
  const bool bodiless =
      stream_->ended && stream_->unread.empty() && stream_->trailers.fields().empty();
  length_ = bodiless ? 0 : content_length(head.headers);
  co_return std::expected<void, http::RequestFailure>();
}

http::RequestFailure Exchange::failure() const {
  if (body_error_) return {.error = *body_error_, .sent = stream_->departed, .from_body = true};
  if (!stream_->closed) {
    return {.error = Error::make(Code::deadline_exceeded,
                                 fmt::format("{}: no answer in time", connection_->peer())),
            .sent = stream_->departed};
  }
  const bool refused = stream_->closed == ErrorCode::refused_stream;
  return {.error = connection_->closed_error(*stream_), .sent = stream_->departed && !refused};
}

async::Task<void> Exchange::send(http::Body& source) {
  const auto storage = std::make_unique_for_overwrite<char[]>(kPiece);
  const std::span<char> buffer(storage.get(), kPiece);
  for (;;) {
    auto count = co_await source.read(buffer);
    if (!count) {
      body_error_ = std::move(count).error();
      body_failed_.set();
      co_return;
    }
    if (*count == 0) break;
    // A server that has answered early may take no more: its answer counts.
    const auto written =
        co_await connection_->write(stream_, std::string_view(buffer.data(), *count));
    if (!written) co_return;
    progress_ = loop_.now();
  }
  connection_->finish(*stream_, source.trailers());
}

async::Task<void> Exchange::head_or_end() {
  while (!stream_->head && !stream_->closed) co_await stream_->changed.wait();
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

}  // namespace

async::Task<Forwarded> forward(std::shared_ptr<Connection> connection, http::RequestHead head,
                               http::Body* body, Deadline deadline) {
  const bool has_body = body != nullptr && body->length() != std::uint64_t{0};
  head.headers.remove("content-length");
  if (has_body && body->length()) {
    head.headers.add("content-length", std::to_string(*body->length()));
  }
  auto stream =
      connection->open(request_fields(head), has_body ? Ending::more_follows : Ending::ends_here);
  if (!stream) {
    co_return std::unexpected(http::RequestFailure{.error = std::move(stream).error()});
  }
  auto exchange = std::make_unique<Exchange>(connection, *std::move(stream));
  auto done = co_await exchange->run(has_body ? body : nullptr, deadline);
  if (!done) co_return std::unexpected(std::move(done).error());
  co_return std::move(exchange);
}

}  // namespace perigee::http2
