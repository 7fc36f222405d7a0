// What the tests of gRPC share: an app that knows the four kinds of calls, a client's side of one
// call, message by message, and messages as gRPC frames them (a byte, a length, the bytes).
#pragma once

#include <algorithm>

#include "async/event.h"
#include "http2/client.h"
#include "router/fleet_fixture.h"

namespace perigee::router {

inline std::string message(std::string_view text) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(text.size() >> shift);
  return out + std::string(text);
}

// The next message of a body; nullopt: it has ended.
class MessageReader {
 public:
  explicit MessageReader(http::Body& body) : body_(body) {}
  async::Task<Result<std::optional<std::string>>> next() {
    constexpr std::size_t kPrefix = 5;
    for (;;) {
      if (buffer_.size() >= kPrefix && buffer_.size() - kPrefix >= size()) {
        std::string text = buffer_.substr(kPrefix, size());
        buffer_.erase(0, kPrefix + text.size());
        co_return std::optional(std::move(text));
      }
      std::vector<char> piece(64 * 1024);
      CO_TRY(const std::size_t count, co_await body_.read(piece));
      if (count == 0 && !buffer_.empty()) co_return fail(Code::end_of_stream, "half a message");
      if (count == 0) co_return std::optional<std::string>();
      buffer_.append(piece.data(), count);
    }
  }

 private:
  std::size_t size() const {
    std::size_t value = 0;
    for (std::size_t i = 1; i < 5; ++i) value = value << 8 | static_cast<std::uint8_t>(buffer_[i]);
    return value;
  }
  http::Body& body_;
  std::string buffer_;
};

inline http::Headers status_fields(int status, std::string_view text = {}) {
  http::Headers fields;
  fields.add("grpc-status", std::to_string(status));
  if (!text.empty()) fields.add("grpc-message", text);
  return fields;
}

// /t.T/Unary, /Collect (client streams), /List (server streams), /Chat (both), /Refuse (no
// message), /Hold (never answers), /Stall (begins, then is silent).
class GrpcApp : public http::Handler {
 public:
  explicit GrpcApp(async::Loop& loop) : loop_(loop) {}
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    ++calls;
    last = request.head;
    const std::string_view path = request.head.path();
    if (path == "/t.T/Refuse") co_return co_await refuse(response);
    if (path == "/t.T/Hold") co_return co_await hold(response);
    http::ResponseHead head;
    head.headers.add("content-type", "application/grpc");
    head.headers.add("x-initial", "1");
    if (!co_await response.start(std::move(head))) co_return;
    if (path == "/t.T/Stall") co_return co_await hold(response);
    const auto ended = co_await converse(path, request.body, response);
    if (!ended) co_return;
    http::Headers trailers = status_fields(0);
    trailers.add("x-final", "2");
    std::ignore = co_await response.finish(std::move(trailers));
  }
  int calls = 0;
  int cancelled = 0;
  http::RequestHead last;

 private:
  static async::Task<void> refuse(ResponseWriter& response) {
    http::ResponseHead head{.status = 200, .headers = status_fields(5, "nothing there")};
    head.headers.add("content-type", "application/grpc");
    std::ignore = co_await response.send(std::move(head), {});
  }
  async::Task<void> hold(ResponseWriter& response) {
    co_await async::first_of(loop_, response.closed(), pause());
    ++cancelled;
  }
  async::Task<void> pause() { co_await loop_.sleep(60s); }
  // Each message as it comes (Chat, Unary), all at the end (Collect), or the first thrice (List).
  static async::Task<Result<void>> converse(std::string_view path, http::Body& body,
                                            ResponseWriter& response) {
    MessageReader reader(body);
    std::string all;
    for (;;) {
      CO_TRY(const std::optional<std::string> text, co_await reader.next());
      if (!text) break;
      all += *text;
      if (path == "/t.T/Collect") continue;
      for (int i = 0; i < (path == "/t.T/List" ? 3 : 1); ++i) {
        CO_TRY_VOID(co_await response.write(message(*text)));
      }
    }
    if (path != "/t.T/Collect") co_return Result<void>();
    co_return co_await response.write(message(fmt::format("{} bytes", all.size())));
  }
  async::Loop& loop_;
};

// What a client sends, as it comes to want to.
class Outgoing : public http::Body {
 public:
  explicit Outgoing(async::Loop& loop) : changed_(loop) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    while (queue_.empty() && !ended_) co_await changed_.wait();
    const std::size_t count = std::min(into.size(), queue_.size());
    std::ranges::copy(queue_.substr(0, count), into.begin());
    queue_.erase(0, count);
    co_return count;
  }
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  void say(std::string_view text) {
    queue_ += message(text);
    changed_.notify_all();
  }
  void end() {
    ended_ = true;
    changed_.notify_all();
  }

 private:
  std::string queue_;
  bool ended_ = false;
  async::Notify changed_;
};

inline http::RequestHead call_head(const std::string& method, const std::string& timeout = {}) {
  http::RequestHead head{.method = "POST", .target = "/t.T/" + method};
  head.headers.add("host", "hello.test");
  head.headers.add("content-type", "application/grpc+proto");
  head.headers.add("te", "trailers");
  if (!timeout.empty()) head.headers.add("grpc-timeout", timeout);
  return head;
}

// How a call ended, as a client sees it.
struct Ended {
  int http_status = 0;
  std::string status{};  // grpc-status, of the head or the trailers
  std::string text{};    // grpc-message
  std::vector<std::string> messages{};
  http::Headers head{};
  http::Headers trailers{};
};

}  // namespace perigee::router
