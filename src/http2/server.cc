#include "http2/server.h"

#include "async/combine.h"
#include "async/turn.h"
#include "base/text.h"
#include "crypto/tls.h"
#include "http/upgrade.h"
#include "http2/fields.h"
#include "http2/stream_pipe.h"

namespace perigee::http2 {
namespace {

constexpr int kContinue = 100;

std::string_view host_without_port(std::string_view host) {
  const auto colon = host.rfind(':');
  const bool port = colon != std::string_view::npos && host.find(']', colon) == host.npos;
  return host.substr(0, port ? colon : host.npos);
}

Terms terms_for(Counterpart client, Refusals* refusals) {
  if (client == Counterpart::router) return {};
  return {.limits = kFromUsers, .frames = kUserFrames, .refusals = refusals};
}

// A request's body; asks for it first where the client waits for that (RFC 9110, 10.1.1).
class RequestBody : public http::Body {
 public:
  // `patience` between two pieces.
  RequestBody(Connection& connection, StreamPtr stream, const http::Headers& headers,
              std::optional<Duration> patience)
      : connection_(connection),
        stream_(std::move(stream)),
        length_(content_length(headers)),
        patience_(patience) {
    const std::string_view* expect = stream_->head->find("expect");
    awaits_continue_ = expect != nullptr && iequals(*expect, "100-continue");
    const bool bodiless =
        stream_->ended && stream_->unread.empty() && stream_->trailers.fields().empty();
    if (bodiless) length_ = 0;
  }
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    if (std::exchange(awaits_continue_, false) && !answering_) {
      connection_.inform(*stream_, kContinue);
    }
    if (!patience_) return connection_.read(stream_, into);
    async::Loop& loop = connection_.loop();
    return async::with_deadline(loop, loop.deadline_in(*patience_), connection_.read(stream_, into),
                                "body");
  }
  std::optional<std::uint64_t> length() const override { return length_; }
  std::size_t ready() const override { return stream_->unread.size(); }
  http::Headers trailers() const override { return stream_->trailers; }
  void answer_begins() { answering_ = true; }

 private:
  Connection& connection_;
  StreamPtr stream_;
  std::optional<std::uint64_t> length_;
  std::optional<Duration> patience_;
  bool awaits_continue_ = false;
  bool answering_ = false;
};

class Writer : public http::ResponseWriter {
 public:
  Writer(Connection& connection, http::ServerContext& context, StreamPtr stream, RequestBody& body,
         const http::RequestHead& request)
      : connection_(connection),
        context_(context),
        stream_(std::move(stream)),
        body_(body),
        head_request_(request.method == "HEAD"),
        asked_protocol_(http::requested_protocol(request)) {}

  async::Task<Result<void>> send(http::ResponseHead head, std::string body) override;
  async::Task<Result<void>> start(http::ResponseHead head) override;
  async::Task<Result<void>> write(std::string_view data) override;
  async::Task<Result<void>> finish(http::Headers trailers) override;
  bool started() const override { return state_ != State::unstarted; }
  bool finished() const { return state_ == State::finished || (pipe_ && pipe_->ended()); }
  async::Task<Result<sys::Stream*>> switch_protocols(std::string protocol,
                                                     http::Headers fields) override;
  async::Task<void> closed() override;

 private:
  enum class State { unstarted, streaming, finished };
  bool bodiless(int status) const { return head_request_ || status == 204 || status == 304; }
  Result<void> begin(http::ResponseHead head, Ending ending);

  Connection& connection_;
  http::ServerContext& context_;
  StreamPtr stream_;
  RequestBody& body_;
  bool head_request_;
  std::string asked_protocol_;
  std::unique_ptr<StreamPipe> pipe_;  // the stream after switch_protocols
  bool bodiless_ = false;
  State state_ = State::unstarted;
};

Result<void> Writer::begin(http::ResponseHead head, Ending ending) {
  if (state_ != State::unstarted) {
    return fail(Code::internal, "start of a response: not at this point");
  }
  if (head.headers.find("date") == nullptr) head.headers.add("date", context_.date());
  body_.answer_begins();
  TRY_VOID(connection_.respond(*stream_, response_fields(head), ending));
  bodiless_ = bodiless(head.status);
  state_ = ending == Ending::ends_here ? State::finished : State::streaming;
  return {};
}

async::Task<Result<void>> Writer::send(http::ResponseHead head, std::string body) {
  const bool empty = body.empty() || bodiless(head.status);
  if (head.status == 204) {
    head.headers.remove("content-length");
  } else if (!empty || (!body.empty() && head.headers.find("content-length") == nullptr)) {
    head.headers.set("content-length", std::to_string(body.size()));
  }
  CO_TRY_VOID(begin(std::move(head), empty ? Ending::ends_here : Ending::more_follows));
  if (empty) co_return Result<void>();
  CO_TRY_VOID(co_await write(body));
  co_return co_await finish({});
}

async::Task<Result<void>> Writer::start(http::ResponseHead head) {
  co_return begin(std::move(head), Ending::more_follows);
}

async::Task<Result<void>> Writer::write(std::string_view data) {
  if (state_ != State::streaming) {
    co_return fail(Code::internal, "write of a body: not at this point of a response");
  }
  if (bodiless_) co_return Result<void>();
  async::Loop& loop = connection_.loop();
  auto written =
      co_await async::with_deadline(loop, loop.deadline_in(context_.limits.write_timeout),
                                    connection_.write(stream_, data), "write to the client");
  if (!written && written.error().code == Code::deadline_exceeded) connection_.give_up(*stream_);
  co_return written;
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

// RFC 8441 section 5: 200, and the stream's bytes are the protocol's; there are no keys.
async::Task<Result<sys::Stream*>> Writer::switch_protocols(std::string protocol,
                                                           http::Headers fields) {
  if (asked_protocol_.empty()) {
    co_return fail(Code::unsupported, "change to {}: the client did not ask for it", protocol);
  }
  fields.remove("sec-websocket-accept");
  CO_TRY_VOID(begin({.status = 200, .headers = std::move(fields)}, Ending::more_follows));
  pipe_ = std::make_unique<StreamPipe>(connection_, stream_);
  co_return pipe_.get();
}

async::Task<void> Writer::closed() {
  while (!stream_->closed) co_await stream_->changed.wait();
}

}  // namespace

ServerConnection::ServerConnection(http::ServerContext& context, http::Accepted accepted,
                                   Counterpart client, Refusals* refusals)
    : context_(context),
      client_(client),
      security_(accepted.security),
      refusals_(refusals),
      connection_(std::make_shared<Connection>(context.host.loop, std::move(accepted.stream),
                                               Role::server, std::move(accepted.ahead),
                                               terms_for(client, refusals))),
      slots_(context.host.loop, terms_for(client, refusals).limits.max_streams),
      tasks_(context.host.loop) {}

async::Task<void> ServerConnection::run() {
  tasks_.spawn(accept_requests());
  tasks_.spawn(drain_when_told());
  tasks_.spawn(client_ == Counterpart::router ? watch_router() : watch_user());
  co_await connection_->run();
}

async::Task<void> ServerConnection::drain_when_told() {
  co_await context_.draining.wait();
  co_await connection_->drain();
}

// A stream that its client has reset meanwhile is gone from the connection, its handler may not be.
async::Task<void> ServerConnection::accept_requests() {
  for (;;) {
    auto permit = co_await slots_.acquire();
    StreamPtr stream = co_await connection_->next_request();
    tasks_.spawn(handle(std::move(stream), std::move(permit)));
    if (async::turn_is_long(context_.host.loop)) co_await context_.host.loop.yield();
  }
}

// Clients ping: one that says nothing is gone, and its streams with it.
async::Task<void> ServerConnection::watch_router() {
  async::Loop& loop = context_.host.loop;
  for (;;) {
    const MonotonicTime end = connection_->last_heard() + kSilence;
    if (loop.now() >= end) break;
    co_await loop.sleep_until(end);
  }
  connection_->abort(Error::make(Code::deadline_exceeded,
                                 fmt::format("{}: silent for too long", connection_->peer())));
}

async::Task<void> ServerConnection::watch_user() {
  async::Loop& loop = context_.host.loop;
  for (;;) {
    co_await loop.sleep(kUserWatch);
    const Duration silence = loop.now() - connection_->last_heard();
    if (connection_->head_overdue() >= context_.limits.head_timeout) {
      co_return co_await connection_->refuse(Refusal::slow_head);
    }
    if (connection_->stalled() >= context_.limits.write_timeout) {
      co_return co_await connection_->refuse(Refusal::slow_reader);
    }
    if (connection_->idle() >= context_.limits.idle_timeout) {
      co_return co_await connection_->drain();
    }
    if (connection_->streams() == 0) continue;
    if (silence >= kUserSilence) co_return co_await connection_->refuse(Refusal::silence);
    if (silence >= kUserPing) connection_->ping();
  }
}

async::Task<void> ServerConnection::handle(StreamPtr stream, async::Semaphore::Permit permit) {
  const async::Semaphore::Permit held = std::move(permit);
  auto head = request_from(*stream->head);
  if (!head) co_return refuse(*stream, head.error());
  if (misdirected(*head)) {
    co_return refuse(*stream, {.status = 421, .why = "the certificate is for other hosts"});
  }
  co_await answer(std::move(stream), *std::move(head));
}

// RFC 9113 section 8.1.1: what is malformed is reset; what we don't do is told.
void ServerConnection::refuse(StreamState& stream, http::Malformed why) {
  constexpr int kBadRequest = 400;
  if (why.status == kBadRequest) {  // counted as the mistake that it is
    return connection_->release(stream, ErrorCode::protocol_error);
  }
  if (refusals_ != nullptr) {
    refusals_->count(why.status == 421 ? Refusal::misdirected : Refusal::malformed);
  }
  http::ResponseHead head{.status = why.status};
  head.headers.add("date", context_.date());
  std::ignore = connection_->respond(stream, response_fields(head), Ending::ends_here);
  connection_->abandon(stream);
}

// RFC 9110 section 7.4: clients send requests for other hosts on a connection whose certificate
// covers them. Others are not for us to guess at.
bool ServerConnection::misdirected(const http::RequestHead& head) {
  const sys::Stream* stream = connection_->stream();
  const std::string_view* host = head.headers.find("host");
  if (security_ == http::Security::plain || stream == nullptr || host == nullptr) return false;
  if (*host == covered_host_) return false;
  if (!crypto::certificate_covers(*stream, std::string(host_without_port(*host)))) return true;
  covered_host_ = *host;
  return false;
}

async::Task<void> ServerConnection::answer(StreamPtr stream, http::RequestHead head) {
  const bool may_rest = client_ == Counterpart::router || is_grpc(head.headers);
  RequestBody body(*connection_, stream, head.headers,
                   may_rest ? std::nullopt : std::optional(context_.limits.body_timeout));
  Writer writer(*connection_, context_, stream, body, head);
  http::Request request{.head = std::move(head),
                        .body = body,
                        .peer = connection_->peer(),
                        .local = connection_->local(),
                        .peer_uid = std::nullopt,
                        .tls = security_ == http::Security::tls,
                        .peer_identity = std::nullopt,
                        .request_id = context_.next_request_id()};
  co_await context_.handler.handle(request, writer);
  if (!writer.started()) std::ignore = co_await writer.send({.status = 500}, "no answer\n");
  if (writer.finished()) {
    connection_->abandon(*stream);
  } else {
    connection_->release(*stream, ErrorCode::internal_error);  // cut: it must not seem whole
  }
}

}  // namespace perigee::http2
