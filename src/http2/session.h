// Session: HTTP/2 (RFC 9113) of one connection without I/O. Bytes in, events and bytes out; frames,
// HPACK and the checks of the protocol are nghttp2's, which is seen in session.cc alone.
//
//   Session session(Role::client, events);
//   CO_TRY_VOID(session.receive(bytes));      // calls `events`
//   session.take_output(out, max);            // what to write to the socket now
//
// Events are told from within `receive` and `take_output`: they may submit, not receive or take.
// No upgrade from HTTP/1.1, no push. Bounds are those of limits.h. A head that is malformed or has
// more fields than allowed ends its stream here: by a reset, or, where a server can tell the client
// what is wrong, by an answer of 431.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"
#include "http2/limits.h"

namespace perigee::http2 {

using StreamId = std::int32_t;

enum class Role { client, server };
enum class Ending { more_follows, ends_here };  // whether a head is all of its message

// RFC 9113 section 7: those that are told apart here. Others keep their number.
enum class ErrorCode : std::uint32_t {
  none = 0,
  protocol_error = 1,
  internal_error = 2,
  flow_control_error = 3,
  stream_closed = 5,
  frame_size_error = 6,
  refused_stream = 7,
  cancel = 8,
  compression_error = 9,
  enhance_your_calm = 11,
};

class Events {
 public:
  virtual ~Events() = default;
  // A request (server), or the final response (client), with its pseudo-fields.
  virtual void on_head(StreamId stream, http::Headers fields) = 0;
  virtual void on_data(StreamId stream, std::string_view bytes) = 0;
  virtual void on_trailers(StreamId stream, http::Headers fields) = 0;  // before on_end
  virtual void on_end(StreamId stream) = 0;  // the peer has sent all of its message
  // Our request's head is in the output: it may be acted on.
  virtual void on_departed(StreamId stream) = 0;
  virtual void on_progress(StreamId stream) = 0;  // some of its body has gone into frames
  // Gone, whoever ended it; `none` where both sides have sent all.
  virtual void on_closed(StreamId stream, ErrorCode code) = 0;
  virtual void on_ping_answer(std::uint64_t payload) = 0;
  virtual void on_goaway() = 0;  // the peer takes no more requests
  // We told the peer of its mistake: one stream's, or the connection's.
  virtual void on_stream_mistake(ErrorCode code) = 0;
  virtual void on_connection_mistake(ErrorCode code) = 0;
  virtual void on_large_head() = 0;  // a request that was answered 431
};

class Session {
 public:
  Session(Role role, Events& events, const Limits& limits = kBetweenRouters);
  ~Session();

  // An error is final: send what take_output gives (it says why), then close.
  Result<void> receive(std::string_view bytes);
  // Appends frames until `out` holds `max` or nothing is left to send now.
  void take_output(std::string& out, std::size_t max);
  bool finished() const;  // nothing more to read and nothing to send

  Result<StreamId> request(const http::Headers& fields, Ending ending);
  Result<void> respond(StreamId stream, const http::Headers& fields, Ending ending);
  // An interim response (1xx) before that.
  void inform(StreamId stream, int status);
  // Body bytes; the caller keeps unsent() bounded. Nothing happens to streams that are gone.
  void write(StreamId stream, std::string_view bytes);
  void finish(StreamId stream, const http::Headers& trailers);  // trailer_fields(…), or none
  std::size_t unsent(StreamId stream) const;
  std::size_t unsent() const;  // of all streams
  void reset(StreamId stream, ErrorCode code);

  // The reader took bytes of on_data: the peer may send as many more.
  void consume(StreamId stream, std::size_t bytes);
  void set_window(StreamId stream, std::uint32_t size);

  void ping(std::uint64_t payload);
  // A server's two steps of an end: "open no more", then "what came until now is the last".
  void announce_shutdown();
  void shut_down();
  void terminate(ErrorCode code);  // at once
  std::uint32_t peer_max_streams() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace perigee::http2
