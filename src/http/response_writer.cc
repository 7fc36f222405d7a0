#include "http/response_writer.h"

#include <limits>

#include "base/text.h"
#include "http/trailers.h"

namespace perigee::http {
namespace {

constexpr std::size_t kJoin = 16 * 1024;  // a body up to this goes out with its head in one write

Error out_of_order(std::string_view what) {
  return Error::make(Code::internal, fmt::format("{}: not at this point of a response", what));
}

}  // namespace

Writer::Writer(ServerConnection& connection, const RequestHead& request, bool close)
    : connection_(connection),
      head_request_(request.method == "HEAD"),
      takes_trailers_(takes_trailers(request.headers)),
      request_minor_(request.minor_version),
      close_(close) {}

bool Writer::bodiless(int status) const {
  return head_request_ || status == 204 || status == 304;
}

// Decides the framing and sets the fields that say it. `body_size` where the whole body is known.
Result<void> Writer::choose_mode(ResponseHead& head, std::optional<std::uint64_t> body_size) {
  head.headers.remove("transfer-encoding");
  if (bodiless(head.status)) {
    mode_ = Mode::none;
    if (head.status == 204) head.headers.remove("content-length");
    if (head_request_ && body_size && head.headers.find("content-length") == nullptr) {
      head.headers.add("Content-Length", std::to_string(*body_size));
    }
    return {};
  }
  if (body_size) head.headers.set("Content-Length", std::to_string(*body_size));
  if (const std::string_view* length = head.headers.find("content-length")) {
    const auto value = parse_uint(*length, std::numeric_limits<std::int64_t>::max());
    if (!value || head.headers.count("content-length") > 1) {
      return fail(Code::internal, "the response's Content-Length '{}' is invalid", *length);
    }
    mode_ = Mode::length;
    left_ = *value;
  } else if (request_minor_ >= 1) {
    mode_ = Mode::chunked;
    head.headers.add("Transfer-Encoding", "chunked");
  } else {
    mode_ = Mode::until_close;
    close_ = true;
  }
  return {};
}

Result<std::string> Writer::begin(ResponseHead head, std::optional<std::uint64_t> body_size) {
  if (state_ != State::unstarted) return fail(out_of_order("start of a response"));
  if (head.status < 200) return fail(Code::internal, "status {} is no final one", head.status);
  if (has_token(head.headers, "connection", "close")) close_ = true;
  if (connection_.context_.draining.is_set()) close_ = true;
  TRY_VOID(choose_mode(head, body_size));
  if (mode_ != Mode::chunked || !takes_trailers_) head.headers.remove("trailer");
  head.headers.remove("connection");
  head.headers.remove("keep-alive");
  if (close_) {
    head.headers.add("Connection", "close");
  } else if (request_minor_ == 0) {
    head.headers.add("Connection", "keep-alive");
  }
  if (head.headers.find("date") == nullptr) {
    head.headers.add("Date", connection_.context_.date());
  }
  std::string out;
  TRY_VOID(append_head(out, head));
  state_ = State::streaming;
  return out;
}

async::Task<Result<void>> Writer::put(std::string_view data) {
  auto written = co_await connection_.write(data);
  if (!written) {
    state_ = State::failed;
    close_ = true;
  }
  co_return written;
}

async::Task<Result<void>> Writer::send(ResponseHead head, std::string body) {
  CO_TRY(std::string out, begin(std::move(head), body.size()));
  state_ = State::failed;  // until all of it is out
  if (mode_ == Mode::none) body.clear();
  const bool join = body.size() <= kJoin;
  if (join) out += body;
  CO_TRY_VOID(co_await put(out));
  if (!join) CO_TRY_VOID(co_await put(body));
  state_ = State::finished;
  co_return Result<void>();
}

async::Task<Result<void>> Writer::start(ResponseHead head) {
  CO_TRY(const std::string out, begin(std::move(head), std::nullopt));
  co_return co_await put(out);
}

async::Task<Result<void>> Writer::write(std::string_view data) {
  if (state_ != State::streaming) co_return fail(out_of_order("write of a body"));
  if (data.empty() || mode_ == Mode::none) co_return Result<void>();
  if (mode_ == Mode::chunked) {
    std::string chunk;
    chunk.reserve(data.size() + 20);
    append_chunk(chunk, data);
    co_return co_await put(chunk);
  }
  if (mode_ == Mode::length) {
    if (data.size() > left_) {
      co_return fail(Code::internal, "the response's body is longer than its Content-Length");
    }
    left_ -= data.size();
  }
  co_return co_await put(data);
}

async::Task<Result<void>> Writer::finish(Headers trailers) {
  if (state_ != State::streaming) co_return fail(out_of_order("end of a body"));
  if (mode_ == Mode::length && left_ > 0) {
    state_ = State::failed;
    co_return fail(Code::internal, "the response's body is shorter than its Content-Length");
  }
  if (mode_ == Mode::chunked) {
    CO_TRY_VOID(co_await put(last_chunk(takes_trailers_ ? trailers : Headers())));
  }
  state_ = State::finished;
  co_return Result<void>();
}

async::Task<Result<sys::Stream*>> Writer::switch_protocols(std::string protocol, Headers fields) {
  if (state_ != State::unstarted) co_return fail(out_of_order("change of protocol"));
  ResponseHead head{.status = 101, .headers = std::move(fields)};
  head.headers.set("Connection", "Upgrade");
  head.headers.set("Upgrade", protocol);
  std::string out;
  CO_TRY_VOID(append_head(out, head));
  close_ = true;
  state_ = State::failed;  // until all of it is out
  CO_TRY_VOID(co_await put(out));
  state_ = State::finished;
  switched_ = connection_.take_stream();
  co_return switched_.get();
}

async::Task<void> Writer::closed() {
  co_await connection_.peer_gone();
}

}  // namespace perigee::http
