#include "http/server_connection.h"

#include "async/combine.h"
#include "async/turn.h"
#include "base/text.h"
#include "http/prefixed_stream.h"
#include "http/response_writer.h"
#include "sys/posix_host.h"

namespace perigee::http {
namespace {

constexpr std::size_t kIdleRoom = 2 * 1024;  // of a buffer for what a request begins with
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t kDiscardBuffer = 16 * 1024;

}  // namespace

// A request's body; asks for it first where the client waits for that (RFC 9110, 10.1.1).
class RequestBody : public Body {
 public:
  RequestBody(ServerConnection& connection, BodyReader& reader, bool awaits_continue)
      : connection_(connection), reader_(reader), awaits_continue_(awaits_continue) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    if (std::exchange(awaits_continue_, false) && writer_ != nullptr && !writer_->started()) {
      CO_TRY_VOID(co_await connection_.write(kContinue));
    }
    co_return co_await reader_.read(into);
  }
  std::optional<std::uint64_t> length() const override { return reader_.length(); }
  std::size_t ready() const override { return reader_.ready(); }
  Headers trailers() const override { return reader_.trailers(); }
  bool awaits_continue() const { return awaits_continue_; }
  void attach(const Writer& writer) { writer_ = &writer; }

 private:
  ServerConnection& connection_;
  BodyReader& reader_;
  bool awaits_continue_;
  const Writer* writer_ = nullptr;
};

ServerConnection::ServerConnection(ServerContext& context, std::unique_ptr<sys::Stream> stream,
                                   Security security, std::string_view preface)
    : context_(context),
      stream_(std::move(stream)),
      security_(security),
      preface_(preface),
      input_(context.host.loop, *stream_),
      peer_(stream_->peer()),
      local_(stream_->local()) {
  peer_identity_ = crypto::peer_identity(*stream_);
  if (!stream_->local().is_unix()) return;
  if (const auto uid = sys::peer_uid(*stream_)) peer_uid_ = *uid;
}

async::Task<void> ServerConnection::run() {
  Next next = Next::request;
  while (next == Next::request) {
    if (async::turn_is_long(context_.host.loop)) co_await context_.host.loop.yield();
    next = co_await await_first_byte() ? co_await serve_one() : Next::close;
  }
  if (next == Next::linger) co_await linger();
  other_ = next == Next::other_protocol;
}

std::optional<Accepted> ServerConnection::take_other() {
  if (!other_) return std::nullopt;
  return Accepted{
      .stream = std::move(stream_), .security = security_, .ahead = std::string(input_.view())};
}

async::Task<ServerConnection::Next> ServerConnection::serve_one() {
  // RFC 9112 section 2.2: one empty line before a request is forgiven.
  const std::optional<std::size_t> size = co_await await_head();
  if (!size) co_return Next::linger;
  const std::string_view preface = std::exchange(preface_, {});
  if (!preface.empty() && input_.view().starts_with(preface)) co_return Next::other_protocol;
  auto head = parse_request_head(input_.view().substr(0, *size));
  input_.consume(*size);
  auto framing = head ? request_framing(*head) : Parsed<Framing>(std::unexpected(head.error()));
  if (!framing) {
    co_await refuse(framing.error());
    co_return Next::linger;
  }
  co_return co_await handle(*std::move(head), *framing);
}

// Waits between requests. False: the client has gone, the time is up, or the server ends. What came
// in that very moment is served.
async::Task<bool> ServerConnection::await_first_byte() {
  while (input_.empty()) {
    input_.release();
    if (input_.ended()) co_return false;
    const bool goes_on = co_await context_.idle.wait(*stream_);
    if (!input_.take_ready(kIdleRoom)) co_return false;
    if (!goes_on && input_.empty()) co_return false;
  }
  co_return true;
}

// Size of the next head; nullopt after an answer that says why there is none.
async::Task<std::optional<std::size_t>> ServerConnection::await_head() {
  async::Loop& loop = context_.host.loop;
  const Deadline deadline = loop.deadline_in(context_.limits.head_timeout);
  HeadScanner scanner;
  bool may_skip_line = true;
  for (;;) {
    if (may_skip_line && input_.view().starts_with("\r\n")) {
      input_.consume(2);
      scanner = HeadScanner();
      may_skip_line = false;
    }
    const auto size = scanner.scan(input_.view());
    if (!size) {
      co_await refuse(size.error());
      co_return std::nullopt;
    }
    if (*size) co_return **size;
    if (input_.view().size() > 1) may_skip_line = false;
    if (input_.ended()) co_return std::nullopt;
    const auto more = co_await async::with_deadline(loop, deadline, input_.more(kHeadRead), "head");
    if (more) continue;
    if (more.error().code == Code::deadline_exceeded) {
      co_await refuse({.status = 408, .why = "the request's head took too long"});
    }
    co_return std::nullopt;
  }
}

async::Task<ServerConnection::Next> ServerConnection::handle(RequestHead head, Framing framing) {
  const std::string_view* expect = head.headers.find("expect");
  const bool awaits_continue =
      expect != nullptr && head.minor_version >= 1 && framing.kind != Framing::Kind::none;
  if (expect != nullptr && !iequals(*expect, "100-continue")) {
    co_await refuse({.status = 417, .why = "unknown expectation"});
    co_return Next::linger;
  }
  BodyReader reader(context_.host.loop, input_, framing, context_.limits.body_timeout);
  RequestBody body(*this, reader, awaits_continue);
  const bool close = !keeps_alive(head.minor_version, head.headers);
  Writer writer(*this, head, close);
  body.attach(writer);
  Request request{.head = std::move(head),
                  .body = body,
                  .peer = peer_,
                  .local = local_,
                  .peer_uid = peer_uid_,
                  .tls = security_ == Security::tls,
                  .peer_identity = peer_identity_,
                  .request_id = context_.next_request_id()};
  co_await context_.handler.handle(request, writer);
  co_return co_await settle(writer, reader, body.awaits_continue());
}

// After the handler: makes sure of an answer, and that the next request begins where it should.
async::Task<ServerConnection::Next> ServerConnection::settle(Writer& writer, BodyReader& body,
                                                             bool awaits_continue) {
  if (!writer.started()) {
    if (!body.done()) writer.close_after();
    const auto sent = co_await writer.send({.status = 500}, "no answer\n");
    if (!sent) co_return Next::close;
  }
  if (writer.switched()) co_return Next::linger;
  if (!writer.finished()) co_return Next::close;  // cut: the client must not take it for whole
  if (body.done()) co_return writer.closes() ? Next::close : Next::request;
  if (writer.closes() || awaits_continue) co_return Next::linger;
  const auto discarded = co_await discard(body);
  co_return discarded ? Next::request : Next::linger;
}

// The connection for another protocol, with what the client has sent of that already.
std::unique_ptr<sys::Stream> ServerConnection::take_stream() {
  std::string ahead(input_.view());
  input_.consume(ahead.size());
  return std::make_unique<PrefixedStream>(std::move(ahead), *stream_);
}

async::Task<Result<void>> ServerConnection::discard(Body& body) {
  std::vector<char> buffer(kDiscardBuffer);
  std::size_t total = 0;
  for (;;) {
    CO_TRY(const std::size_t n, co_await body.read(buffer));
    if (n == 0) co_return Result<void>();
    total += n;
    if (total > kMaxDrain) co_return fail(Code::resource_exhausted, "too much unread body");
    if (async::turn_is_long(context_.host.loop)) co_await context_.host.loop.yield();
  }
}

async::Task<void> ServerConnection::refuse(Malformed malformed) {
  ResponseHead head{.status = malformed.status};
  const std::string text = fmt::format("{}\n", malformed.why);
  head.headers.add("Content-Type", "text/plain");
  head.headers.add("Content-Length", std::to_string(text.size()));
  head.headers.add("Connection", "close");
  head.headers.add("Date", context_.date());
  std::string out;
  if (!append_head(out, head)) co_return;
  out += text;
  [[maybe_unused]] const auto written = co_await write(out);
}

async::Task<Result<void>> ServerConnection::write(std::string_view data) {
  async::Loop& loop = context_.host.loop;
  co_return co_await async::with_deadline(loop, loop.deadline_in(context_.limits.write_timeout),
                                          stream_->write(data), "write to the client");
}

// Ends our side and reads on for a while: a reset would take the last answer away from the client
// before it could read it (RFC 9112 section 9.6).
async::Task<void> ServerConnection::linger() {
  if (!stream_->shutdown_write()) co_return;
  async::Loop& loop = context_.host.loop;
  const Deadline deadline = loop.deadline_in(kLingerTime);
  for (std::size_t total = 0; total < kMaxDrain;) {
    const auto more =
        co_await async::with_deadline(loop, deadline, input_.more(kDiscardBuffer), "linger");
    if (!more || input_.ended()) co_return;
    total += input_.view().size();
    input_.consume(input_.view().size());
    if (async::turn_is_long(loop)) co_await loop.yield();
  }
}

async::Task<void> ServerConnection::peer_gone() {
  while (!input_.ended()) {
    if (input_.view().size() >= kMaxPipelined) {
      co_await context_.host.loop.sleep(1s);
      continue;
    }
    if (!co_await input_.more(kIdleRoom)) co_return;
  }
}

}  // namespace perigee::http
