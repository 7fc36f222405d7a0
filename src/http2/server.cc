#include "http2/server.h"

#include "http2/fields.h"

namespace perigee::http2 {
namespace {

class RequestBody : public http::Body {
 public:
  RequestBody(Connection& connection, StreamPtr stream, const http::Headers& headers)
      : connection_(connection), stream_(std::move(stream)), length_(content_length(headers)) {
    const bool bodiless =
        stream_->ended && stream_->unread.empty() && stream_->trailers.fields().empty();
    if (bodiless) length_ = 0;
  }
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    return connection_.read(stream_, into);
  }
  std::optional<std::uint64_t> length() const override { return length_; }
  std::size_t ready() const override { return stream_->unread.size(); }
  http::Headers trailers() const override { return stream_->trailers; }

 private:
  Connection& connection_;
  StreamPtr stream_;
  std::optional<std::uint64_t> length_;
};

class Writer : public http::ResponseWriter {
 public:
  Writer(Connection& connection, StreamPtr stream, std::string_view method)
      : connection_(connection), stream_(std::move(stream)), head_request_(method == "HEAD") {}

  async::Task<Result<void>> send(http::ResponseHead head, std::string body) override;
  async::Task<Result<void>> start(http::ResponseHead head) override;
  async::Task<Result<void>> write(std::string_view data) override;
  async::Task<Result<void>> finish(http::Headers trailers) override;
  bool started() const override { return state_ != State::unstarted; }
  bool finished() const { return state_ == State::finished; }
  async::Task<Result<sys::Stream*>> switch_protocols(std::string protocol,
                                                     http::Headers fields) override;
  async::Task<void> closed() override;

 private:
  enum class State { unstarted, streaming, finished };
  bool bodiless(int status) const { return head_request_ || status == 204 || status == 304; }
  Result<void> begin(const http::ResponseHead& head, Ending ending);

  Connection& connection_;
  StreamPtr stream_;
  bool head_request_;
  bool bodiless_ = false;
  State state_ = State::unstarted;
};

Result<void> Writer::begin(const http::ResponseHead& head, Ending ending) {
  if (state_ != State::unstarted) {
    return fail(Code::internal, "start of a response: not at this point");
  }
  TRY_VOID(connection_.respond(*stream_, response_fields(head), ending));
  bodiless_ = bodiless(head.status);
  state_ = ending == Ending::ends_here ? State::finished : State::streaming;
  return {};
}

async::Task<Result<void>> Writer::send(http::ResponseHead head, std::string body) {
  const bool empty = body.empty() || bodiless(head.status);
  if (head.status == 204) {
    head.headers.remove("content-length");
  } else if (!bodiless(head.status) || head.headers.find("content-length") == nullptr) {
    head.headers.set("content-length", std::to_string(body.size()));
  }
  CO_TRY_VOID(begin(head, empty ? Ending::ends_here : Ending::more_follows));
  if (empty) co_return Result<void>();
  CO_TRY_VOID(co_await connection_.write(stream_, body));
  co_return co_await finish({});
}

async::Task<Result<void>> Writer::start(http::ResponseHead head) {
  co_return begin(head, Ending::more_follows);
}

async::Task<Result<void>> Writer::write(std::string_view data) {
  if (state_ != State::streaming) {
    co_return fail(Code::internal, "write of a body: not at this point of a response");
  }
  if (bodiless_) co_return Result<void>();
  co_return co_await connection_.write(stream_, data);
}

async::Task<Result<void>> Writer::finish(http::Headers trailers) {
  if (state_ != State::streaming) {
    co_return fail(Code::internal, "end of a body: not at this point of a response");
  }
  if (stream_->closed) co_return fail(connection_.closed_error(*stream_));
  connection_.finish(*stream_, bodiless_ ? http::Headers() : trailers);
  state_ = State::finished;
  co_return Result<void>();
}

async::Task<Result<sys::Stream*>> Writer::switch_protocols(std::string protocol, http::Headers) {
  co_return fail(Code::unsupported, "change to {}: not on an HTTP/2 connection", protocol);
}

async::Task<void> Writer::closed() {
  while (!stream_->closed) co_await stream_->changed.wait();
}

}  // namespace

ServerConnection::ServerConnection(sys::Host& host, http::Handler& handler,
                                   std::unique_ptr<sys::Stream> stream, std::string ahead)
    : host_(host),
      handler_(handler),
      id_prefix_(sys::random_hex(host.entropy, 8)),
      connection_(std::make_shared<Connection>(host.loop, std::move(stream), Role::server,
                                               std::move(ahead))),
      tasks_(host.loop) {}

async::Task<void> ServerConnection::run() {
  tasks_.spawn(accept_requests());
  tasks_.spawn(watch_silence());
  co_await connection_->run();
}

void ServerConnection::drain() {
  tasks_.spawn(connection_->drain());
}

async::Task<void> ServerConnection::accept_requests() {
  for (;;) tasks_.spawn(handle(co_await connection_->next_request()));
}

// Clients ping: one that says nothing is gone, and its streams with it.
async::Task<void> ServerConnection::watch_silence() {
  for (;;) {
    const MonotonicTime end = connection_->last_heard() + kSilence;
    if (host_.loop.now() >= end) break;
    co_await host_.loop.sleep_until(end);
  }
  connection_->abort(Error::make(Code::deadline_exceeded,
                                 fmt::format("{}: silent for too long", connection_->peer())));
}

async::Task<void> ServerConnection::handle(StreamPtr stream) {
  auto head = request_from(*stream->head);
  if (!head) {
    connection_->release(*stream, ErrorCode::protocol_error);
    co_return;
  }
  RequestBody body(*connection_, stream, head->headers);
  Writer writer(*connection_, stream, head->method);
  http::Request request{.head = *std::move(head),
                        .body = body,
                        .peer = connection_->peer(),
                        .peer_uid = std::nullopt,
                        .peer_identity = std::nullopt,
                        .request_id = fmt::format("{}{:08x}", id_prefix_, ++id_count_)};
  co_await handler_.handle(request, writer);
  if (!writer.started()) std::ignore = co_await writer.send({.status = 500}, "no answer\n");
  if (writer.finished()) {
    connection_->abandon(*stream);
  } else {
    connection_->release(*stream, ErrorCode::internal_error);  // cut: it must not seem whole
  }
}

}  // namespace perigee::http2
