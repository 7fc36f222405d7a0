// Connection: a Session on a stream of bytes, for clients and servers alike. Moves bytes both ways
// while `run` runs, and keeps the streams: what arrived and is not read, who waits for what.
//
//   auto connection = std::make_shared<Connection>(loop, std::move(stream), Role::client);
//   tasks.spawn(connection->run());                           // its owner keeps it running
//   co_await forward(connection, head, body, deadline);       // http2/client.h
//
// A StreamState is shared by the connection and whoever handles the message; either may be gone
// first. All belong to one thread.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "async/event.h"
#include "http/message.h"
#include "http2/byte_queue.h"
#include "http2/frame_guard.h"
#include "http2/limits.h"
#include "http2/refusals.h"
#include "http2/rtt.h"
#include "http2/session.h"
#include "http2/stream_window.h"
#include "sys/network.h"

namespace perigee::http2 {

struct StreamState {
  StreamState(async::Loop& loop, StreamId number, const Limits& limits)
      : id(number), window(loop.now(), limits.least_window, limits), changed(loop) {}
  StreamId id;
  std::optional<http::Headers> head{};  // of the peer's message
  http::Headers trailers{};             // of the same, once it has ended
  bool ended = false;                   // the peer's message has all arrived
  bool departed = false;                // our request may have been acted on
  ByteQueue unread{};
  StreamWindow window;
  std::optional<ErrorCode> closed{};
  async::Notify changed;  // anything of the above, or room to write
};
using StreamPtr = std::shared_ptr<StreamState>;

// What a connection may cost, and whether its peer is watched for asking more than that.
struct Terms {
  Limits limits = kBetweenRouters;
  std::optional<FrameLimits> frames{};  // of a peer that may mean harm
  Refusals* refusals = nullptr;         // outlives the connection; null: nobody counts
};

class Connection : private Events {
 public:
  // `ahead`: bytes that were read from the stream before.
  Connection(async::Loop& loop, std::unique_ptr<sys::Stream> stream, Role role,
             std::string ahead = {}, const Terms& terms = {});
  ~Connection() override;

  // Until the peer closes, an error, or the end of a drain. Then every stream is closed.
  async::Task<void> run();
  // Takes no more requests, or makes none; `run` ends with the last stream.
  async::Task<void> drain();
  void abort(Error why);  // `run` ends at once
  // GOAWAY with the code for it, and soon the end.
  async::Task<void> refuse(Refusal why);

  Result<StreamPtr> open(const http::Headers& fields, Ending ending);  // client
  async::Task<StreamPtr> next_request();                               // server
  Result<void> respond(StreamState& stream, const http::Headers& fields, Ending ending);
  void inform(StreamState& stream, int status);  // an interim response
  async::Task<Result<std::size_t>> read(StreamPtr stream, std::span<char> into);
  // Without waiting; nullopt: nothing is there yet.
  Result<std::optional<std::size_t>> try_read(StreamState& stream, std::span<char> into);
  // Schedules `waiter` when try_read may find something.
  static void when_readable(StreamState& stream, async::Waiter& waiter);
  async::Task<Result<void>> write(StreamPtr stream, std::string_view data);
  void finish(StreamState& stream, const http::Headers& trailers);
  // Nobody reads or writes it any more: reset with `code` unless all is over, unread bytes dropped.
  void release(StreamState& stream, ErrorCode code);
  // Its reader takes nothing.
  void give_up(StreamState& stream);
  // Nobody reads it any more; what is being sent goes out.
  void abandon(StreamState& stream);
  Error closed_error(const StreamState& stream) const;

  // Asks for a sign of life, which becomes a sample of `rtt`.
  void ping();
  const RttEstimator& rtt() const { return rtt_; }
  MonotonicTime last_heard() const { return last_heard_; }
  std::size_t streams() const { return streams_.size(); }
  std::size_t unread() const { return unread_; }
  std::size_t unsent() const { return session_.unsent(); }
  std::size_t max_streams() const;
  bool going_away() const { return going_away_; }  // the peer, or we, take no more requests
  bool lost() const { return lost_.has_value(); }
  async::Loop& loop() { return loop_; }
  const sys::Address& peer() const { return peer_; }
  const sys::Address& local() const { return local_; }
  const sys::Stream* stream() const { return stream_.get(); }  // null once `run` has ended

  // How long the peer has kept us waiting, zero where it does not: for the rest of a head, to take
  // what we send, for a request.
  Duration head_overdue() const;
  Duration stalled() const;
  Duration idle() const;

 private:
  void on_head(StreamId id, http::Headers fields) override;
  void on_data(StreamId id, std::string_view bytes) override;
  void on_trailers(StreamId id, http::Headers fields) override;
  void on_end(StreamId id) override;
  void on_departed(StreamId id) override;
  void on_progress(StreamId id) override;
  void on_closed(StreamId id, ErrorCode code) override;
  void on_ping_answer(std::uint64_t payload) override;
  void on_goaway() override;
  void on_stream_mistake(ErrorCode code) override;
  void on_connection_mistake(ErrorCode code) override;
  void on_large_head() override { count(Refusal::large_head); }

  async::Task<void> pump();
  void close();
  async::Task<void> read_all();
  async::Task<bool> read_burst();
  bool receive(std::string_view bytes);
  void count(Refusal refusal);
  void erase(const StreamState& stream);
  async::Task<void> write_all();
  void taken(StreamState& stream, std::size_t bytes);
  void begin_window(StreamState& stream);
  void press();
  void lose(Error why);
  void drop_unread(StreamState& stream);
  void end_if_drained();
  StreamState* find(StreamId id);

  async::Loop& loop_;
  std::unique_ptr<sys::Stream> stream_;  // until `run` has ended
  sys::Address peer_;
  sys::Address local_;
  Role role_;
  Limits limits_;
  std::optional<FrameGuard> guard_;
  Refusals* refusals_;
  std::optional<Refusal> excess_;  // of the peer, which ends the connection
  std::string ahead_;
  std::map<StreamId, StreamPtr> streams_;
  std::deque<StreamPtr> arrived_;  // requests that nobody handles yet
  std::size_t unread_ = 0;         // of all streams
  Pressure pressure_ = Pressure::none;
  std::map<std::uint64_t, MonotonicTime> pings_;  // on their way, by payload
  std::uint64_t last_ping_ = 0;
  RttEstimator rtt_;
  MonotonicTime last_heard_;
  MonotonicTime idle_since_;                    // while there are no streams
  MonotonicTime progress_;                      // of bodies into frames, while some are unsent
  std::optional<MonotonicTime> writing_since_;  // a write that the network has not taken yet
  bool going_away_ = false;
  std::optional<Error> lost_;
  async::Notify output_;   // something may have to be written
  async::Notify arrival_;  // a request
  async::Event ended_;
  Session session_;  // last: calls back
};

}  // namespace perigee::http2
