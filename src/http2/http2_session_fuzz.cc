// Any bytes to a server's and to a client's session, and to a server's that faces users, with the
// guard before it: refused or understood, within the bounds, and what the session says about it
// fits. A request that is understood is the same one when it has been written as HTTP/1.1.
//
// The first byte chooses the side; a server gets the preface first, a client asks first.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/check.h"
#include "http/codec.h"
#include "http2/fields.h"
#include "http2/frame_guard.h"
#include "http2/limits.h"
#include "http2/session.h"

namespace {

using namespace perigee::http2;
using perigee::http::Headers;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// As a proxy writes it: read again there is nothing but what was meant.
void check_as_http1(const perigee::http::RequestHead& head) {
  if (head.headers.find("host") == nullptr) return;  // refused by the router
  std::string text;
  PERIGEE_CHECK(append_head(text, head).has_value());
  const auto again = perigee::http::parse_request_head(text);
  const auto framing = again ? perigee::http::request_framing(*again)
                             : perigee::http::Parsed<perigee::http::Framing>();
  PERIGEE_CHECK(again && framing && framing->kind != perigee::http::Framing::Kind::chunked);
  PERIGEE_CHECK(again->method == head.method && again->target == head.target);
  PERIGEE_CHECK(again->headers.fields() == head.headers.fields());
}

// A handler that answers each request, and checks the order of what it is told.
class Watcher : public Events {
 public:
  void on_head(StreamId id, Headers fields) override {
    PERIGEE_CHECK(fields.fields().size() <= kMaxHeaderFields);
    PERIGEE_CHECK(!heads_[id]);
    heads_[id] = true;
    if (role == Role::client) return (void)response_from(fields);
    if (const auto head = request_from(fields)) {
      PERIGEE_CHECK(request_from(request_fields(*head)).has_value());
      check_as_http1(*head);
    }
    Headers answer;
    answer.add(":status", "200");
    if (!session->respond(id, answer, Ending::more_follows)) return;
    session->write(id, "answer");
    Headers trailers;
    trailers.add("x-end", "1");
    session->finish(id, trailers);
  }
  void on_trailers(StreamId id, Headers fields) override {
    PERIGEE_CHECK(heads_[id] && fields.fields().size() <= kMaxHeaderFields);
    PERIGEE_CHECK(trailer_fields(fields).fields() == fields.fields());
  }
  void on_data(StreamId id, std::string_view bytes) override { session->consume(id, bytes.size()); }
  void on_end(StreamId id) override { PERIGEE_CHECK(heads_[id] || role == Role::client); }
  void on_departed(StreamId) override {}
  void on_progress(StreamId) override {}
  void on_closed(StreamId id, ErrorCode) override { heads_.erase(id); }
  void on_ping_answer(std::uint64_t) override {}
  void on_goaway() override {}
  void on_stream_mistake(ErrorCode) override {}
  void on_connection_mistake(ErrorCode) override {}
  void on_large_head() override {}
  std::size_t open() const { return heads_.size(); }

  Role role = Role::server;
  Session* session = nullptr;

 private:
  std::map<StreamId, bool> heads_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Watcher watcher;
  watcher.role = (data[0] & 1) != 0 ? Role::client : Role::server;
  const bool user = data[0] == 2;
  Session session(watcher.role, watcher, user ? kFromUsers : kBetweenRouters);
  FrameGuard guard(kUserFrames, perigee::MonotonicTime{0});
  watcher.session = &session;
  std::string out;
  if (watcher.role == Role::client) {
    Headers fields = request_fields({.method = "GET", .target = "/"});
    PERIGEE_CHECK(session.request(fields, Ending::ends_here).has_value());
  } else {
    PERIGEE_CHECK(session.receive(kPreface).has_value());
    PERIGEE_CHECK(!guard.see(kPreface, perigee::MonotonicTime{0}).has_value());
  }
  session.take_output(out, kWriteBatch);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t half = bytes.size() / 2;
  for (const std::string_view part : {bytes.substr(0, half), bytes.substr(half)}) {
    if (user && guard.see(part, perigee::MonotonicTime{0})) break;
    if (!session.receive(part)) break;
    out.clear();
    session.take_output(out, kWriteBatch);
  }
  PERIGEE_CHECK(watcher.open() <= kMaxStreams + 1);
  return 0;
}
