#include "http2/session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "http2/byte_queue.h"
#include "http2/fields.h"
#include "http2/limits.h"

namespace perigee::http2 {
namespace {

constexpr int kFirstFinalStatus = 200;

struct Stream {
  http::Headers block;  // the head or trailers that are arriving
  std::size_t block_bytes = 0;
  bool too_large = false;  // the block: it is not kept
  bool head_known = false;
  bool ended = false;  // the peer's message
  ByteQueue unsent;
  bool finished = false;  // nothing follows `unsent` but
  http::Headers trailers;
};

std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // nghttp2 copies
}

// Valid while `fields` is.
std::vector<nghttp2_nv> name_values(const http::Headers& fields) {
  std::vector<nghttp2_nv> all;
  all.reserve(fields.fields().size());
  for (const auto& [name, value] : fields.fields()) {
    all.push_back({.name = bytes_of(name),
                   .value = bytes_of(value),
                   .namelen = name.size(),
                   .valuelen = value.size(),
                   .flags = NGHTTP2_NV_FLAG_NONE});
  }
  return all;
}

struct OptionDeleter {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};
struct CallbacksDeleter {
  void operator()(nghttp2_session_callbacks* all) const { nghttp2_session_callbacks_del(all); }
};
struct SessionDeleter {
  void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
};

std::unique_ptr<nghttp2_option, OptionDeleter> make_options(const Limits& limits) {
  nghttp2_option* option = nullptr;
  PERIGEE_CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, kMaxUnsentAcks);
  nghttp2_option_set_max_continuations(option, kMaxContinuations);
  nghttp2_option_set_stream_reset_rate_limit(option, limits.resets.burst, limits.resets.per_second);
  return std::unique_ptr<nghttp2_option, OptionDeleter>(option);
}

}  // namespace

struct Session::Impl {
  Impl(Role role_, Events& events_, const Limits& limits_)
      : role(role_), events(events_), limits(limits_) {}
  void open();
  nghttp2_data_provider body_source();
  Result<void> check(int status, std::string_view doing) const;

  // nghttp2's callbacks, in the order of a message's life.
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t flags, void* self);
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
                               std::size_t, const std::uint8_t* value, std::size_t, std::uint8_t,
                               void*);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_data(nghttp2_session*, std::uint8_t flags, StreamId stream,
                     const std::uint8_t* data, std::size_t size, void* self);
  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int why, void* self);
  static int on_closed(nghttp2_session*, StreamId stream, std::uint32_t code, void* self);
  static ssize_t send(nghttp2_session*, const std::uint8_t* data, std::size_t size, int flags,
                      void* self);
  static ssize_t read_body(nghttp2_session*, StreamId stream, std::uint8_t* into, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source* source, void* self);
  static int send_body(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                       std::size_t size, nghttp2_data_source* source, void* self);
  void on_headers_frame(const nghttp2_frame& frame);
  void refuse_large(StreamId stream);
  void tell_mistakes(const nghttp2_frame& frame);
  void on_end(StreamId id);
  void forget(StreamId stream, ErrorCode code);
  Stream* find(StreamId stream);

  Role role;
  Events& events;
  Limits limits;
  std::unordered_map<StreamId, Stream> streams;
  std::size_t unsent = 0;         // of all streams
  std::string* output = nullptr;  // while take_output runs
  std::size_t output_max = 0;
  std::unique_ptr<nghttp2_session, SessionDeleter> session;
};

Session::Session(Role role, Events& events, const Limits& limits)
    : impl_(std::make_unique<Impl>(role, events, limits)) {
  impl_->open();
}
Session::~Session() = default;

void Session::Impl::open() {
  nghttp2_session_callbacks* raw = nullptr;
  PERIGEE_CHECK(nghttp2_session_callbacks_new(&raw) == 0);
  const std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter> callbacks(raw);
  nghttp2_session_callbacks_set_on_begin_headers_callback(raw, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(raw, on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(raw, on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(raw, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw, on_data);
  nghttp2_session_callbacks_set_on_frame_send_callback(raw, on_frame_sent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(raw, on_frame_not_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(raw, on_closed);
  nghttp2_session_callbacks_set_send_callback(raw, send);
  nghttp2_session_callbacks_set_send_data_callback(raw, send_body);
  const auto options = make_options(limits);
  nghttp2_session* made = nullptr;
  PERIGEE_CHECK((role == Role::client
                     ? nghttp2_session_client_new2(&made, raw, this, options.get())
                     : nghttp2_session_server_new2(&made, raw, this, options.get())) == 0);
  session.reset(made);
  std::vector<nghttp2_settings_entry> settings{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.least_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaderBytes}};
  if (limits.extended_connect) settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
  PERIGEE_CHECK(
      nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  PERIGEE_CHECK(
      nghttp2_session_set_local_window_size(
          made, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(limits.connection_window)) == 0);
}

Result<void> Session::Impl::check(int status, std::string_view doing) const {
  if (status >= 0) return {};
  return fail(Code::data_loss, "HTTP/2: {}: {}", doing, nghttp2_strerror(status));
}

Stream* Session::Impl::find(StreamId stream) {
  const auto found = streams.find(stream);
  return found == streams.end() ? nullptr : &found->second;
}

void Session::Impl::forget(StreamId stream, ErrorCode code) {
  const auto found = streams.find(stream);
  if (found == streams.end()) return;
  unsent -= found->second.unsent.size();
  streams.erase(found);
  events.on_closed(stream, code);
}

// ---- in ----

Result<void> Session::receive(std::string_view bytes) {
  const ssize_t taken = nghttp2_session_mem_recv(
      impl_->session.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return impl_->check(static_cast<int>(std::min<ssize_t>(taken, 0)), "received bytes");
}

int Session::Impl::on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  Impl& impl = *static_cast<Impl*>(self);
  const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
  Stream* stream = request ? &impl.streams[frame->hd.stream_id] : impl.find(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  stream->block = {};
  stream->block_bytes = 0;
  stream->too_large = false;
  return 0;
}

int Session::Impl::on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                             std::size_t name_size, const std::uint8_t* value,
                             std::size_t value_size, std::uint8_t, void* self) {
  Stream* stream = static_cast<Impl*>(self)->find(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  stream->block_bytes += name_size + value_size;
  if (stream->block_bytes > kMaxIgnoredHeaderBytes) return NGHTTP2_ERR_CALLBACK_FAILURE;
  if (stream->too_large) return 0;
  const bool too_many = stream->block.fields().size() >= kMaxHeaderFields;
  const std::size_t max_bytes = stream->head_known ? http::kMaxTrailerBytes : kMaxHeaderBytes;
  if (too_many || stream->block_bytes > max_bytes) {
    const bool request = static_cast<Impl*>(self)->role == Role::server && !stream->head_known;
    if (!request) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets this stream alone
    stream->too_large = true;
    stream->block = {};
    return 0;
  }
  stream->block.add({reinterpret_cast<const char*>(name), name_size},
                    {reinterpret_cast<const char*>(value), value_size});
  return 0;
}

// RFC 9113 section 8.2.1: the message is malformed. nghttp2 would leave the field out, and others
// that come after us might see one.
int Session::Impl::on_invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*,
                                     std::size_t, const std::uint8_t*, std::size_t, std::uint8_t,
                                     void*) {
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // here: a reset with PROTOCOL_ERROR
}

void Session::Impl::refuse_large(StreamId stream) {
  http::Headers fields;
  fields.add(":status", "431");
  const auto values = name_values(fields);
  nghttp2_submit_response(session.get(), stream, values.data(), values.size(), nullptr);
  events.on_large_head();
}

// A whole head has come, or the trailers; interim responses are skipped.
void Session::Impl::on_headers_frame(const nghttp2_frame& frame) {
  const StreamId id = frame.hd.stream_id;
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (stream->too_large) return refuse_large(id);
  http::Headers fields = std::exchange(stream->block, {});
  if (stream->head_known) return events.on_trailers(id, trailer_fields(fields));
  if (role == Role::client && status_of(fields) < kFirstFinalStatus) return;
  stream->head_known = true;
  events.on_head(id, std::move(fields));
}

void Session::Impl::on_end(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->ended = true;
  events.on_end(id);
}

int Session::Impl::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  Impl& impl = *static_cast<Impl*>(self);
  const std::uint8_t flags = frame->hd.flags;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      impl.on_headers_frame(*frame);
      [[fallthrough]];
    case NGHTTP2_DATA:
      if ((flags & NGHTTP2_FLAG_END_STREAM) != 0) impl.on_end(frame->hd.stream_id);
      break;
    case NGHTTP2_PING:
      if ((flags & NGHTTP2_FLAG_ACK) != 0) {
        std::uint64_t payload = 0;
        std::copy_n(frame->ping.opaque_data, sizeof payload,
                    reinterpret_cast<std::uint8_t*>(&payload));
        impl.events.on_ping_answer(payload);
      }
      break;
    case NGHTTP2_GOAWAY:
      impl.events.on_goaway();
      break;
    default:
      break;
  }
  return 0;
}

int Session::Impl::on_data(nghttp2_session*, std::uint8_t, StreamId stream,
                           const std::uint8_t* data, std::size_t size, void* self) {
  static_cast<Impl*>(self)->events.on_data(stream, {reinterpret_cast<const char*>(data), size});
  return 0;
}

int Session::Impl::on_closed(nghttp2_session*, StreamId stream, std::uint32_t code, void* self) {
  static_cast<Impl*>(self)->forget(stream, static_cast<ErrorCode>(code));
  return 0;
}

// ---- out ----

void Session::take_output(std::string& out, std::size_t max) {
  impl_->output = &out;
  impl_->output_max = max;
  // Fails only for want of memory, or in a callback of ours, which never do.
  PERIGEE_CHECK(nghttp2_session_send(impl_->session.get()) == 0);
  impl_->output = nullptr;
}

bool Session::finished() const {
  return nghttp2_session_want_read(impl_->session.get()) == 0 &&
         nghttp2_session_want_write(impl_->session.get()) == 0;
}

ssize_t Session::Impl::send(nghttp2_session*, const std::uint8_t* data, std::size_t size, int,
                            void* self) {
  Impl& impl = *static_cast<Impl*>(self);
  if (impl.output->size() >= impl.output_max) return NGHTTP2_ERR_WOULDBLOCK;
  impl.output->append(reinterpret_cast<const char*>(data), size);
  return static_cast<ssize_t>(size);
}

// How much of a body goes into the next frame; send_body then copies it. Trailers follow the last.
ssize_t Session::Impl::read_body(nghttp2_session* session, StreamId id, std::uint8_t*,
                                 std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                                 void* self) {
  const Stream* stream = static_cast<Impl*>(self)->find(id);
  PERIGEE_CHECK(stream != nullptr);
  const std::size_t count = std::min(size, stream->unsent.size());
  if (count == 0 && !stream->finished) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!stream->finished || count < stream->unsent.size()) return static_cast<ssize_t>(count);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (!stream->trailers.fields().empty()) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const auto values = name_values(stream->trailers);
    PERIGEE_CHECK(nghttp2_submit_trailer(session, id, values.data(), values.size()) == 0);
  }
  return static_cast<ssize_t>(count);
}

int Session::Impl::send_body(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                             std::size_t size, nghttp2_data_source*, void* self) {
  constexpr std::size_t kFrameHead = 9;
  Impl& impl = *static_cast<Impl*>(self);
  if (impl.output->size() >= impl.output_max) return NGHTTP2_ERR_WOULDBLOCK;
  Stream* stream = impl.find(frame->hd.stream_id);
  PERIGEE_CHECK(stream != nullptr && frame->data.padlen == 0);
  impl.output->append(reinterpret_cast<const char*>(head), kFrameHead);
  impl.output->append(stream->unsent.front(size));
  stream->unsent.consume(size);
  impl.unsent -= size;
  impl.events.on_progress(frame->hd.stream_id);
  return 0;
}

void Session::Impl::tell_mistakes(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_GOAWAY && frame.goaway.error_code != NGHTTP2_NO_ERROR) {
    return events.on_connection_mistake(static_cast<ErrorCode>(frame.goaway.error_code));
  }
  if (frame.hd.type != NGHTTP2_RST_STREAM) return;
  switch (const auto code = static_cast<ErrorCode>(frame.rst_stream.error_code)) {
    case ErrorCode::flow_control_error:
      // nghttp2 ends the stream where SETTINGS make its window too large; the RFC has the
      // connection end for that (6.9.2), and lets it end for the others.
      nghttp2_session_terminate_session(session.get(), frame.rst_stream.error_code);
      return;
    case ErrorCode::protocol_error:
    case ErrorCode::refused_stream:  // beyond those that it may have at once
    case ErrorCode::stream_closed:
    case ErrorCode::frame_size_error:
      return events.on_stream_mistake(code);
    default:
      return;
  }
}

int Session::Impl::on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
  Impl& impl = *static_cast<Impl*>(self);
  impl.tell_mistakes(*frame);
  const StreamId id = frame->hd.stream_id;
  const bool message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
  if (impl.role == Role::client) {
    const bool head =
        frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (head) impl.events.on_departed(id);
    return 0;
  }
  // A whole response before the request's end: the client need not send the rest (section 8.1).
  const Stream* stream = impl.find(id);
  const bool last = message && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (last && stream != nullptr && !stream->ended) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
  }
  return 0;
}

// A head that can't be sent (too large, or the peer goes away): its stream never begins. Trailers
// that can't: it does not end well.
int Session::Impl::on_frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int,
                                     void* self) {
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  Impl& impl = *static_cast<Impl*>(self);
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    impl.forget(frame->hd.stream_id, ErrorCode::refused_stream);
  } else {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                              NGHTTP2_INTERNAL_ERROR);
  }
  return 0;
}

nghttp2_data_provider Session::Impl::body_source() {
  return {.source = {.ptr = this}, .read_callback = read_body};
}

Result<StreamId> Session::request(const http::Headers& fields, Ending ending) {
  const auto values = name_values(fields);
  const nghttp2_data_provider source = impl_->body_source();
  const StreamId id =
      nghttp2_submit_request(impl_->session.get(), nullptr, values.data(), values.size(),
                             ending == Ending::ends_here ? nullptr : &source, nullptr);
  TRY_VOID(impl_->check(id, "request"));
  impl_->streams[id].finished = ending == Ending::ends_here;
  return id;
}

Result<void> Session::respond(StreamId stream, const http::Headers& fields, Ending ending) {
  if (impl_->find(stream) == nullptr) return fail(Code::unavailable, "the client cancelled");
  const auto values = name_values(fields);
  const nghttp2_data_provider source = impl_->body_source();
  return impl_->check(
      nghttp2_submit_response(impl_->session.get(), stream, values.data(), values.size(),
                              ending == Ending::ends_here ? nullptr : &source),
      "response");
}

void Session::inform(StreamId stream, int status) {
  if (impl_->find(stream) == nullptr) return;
  http::Headers fields;
  fields.add(":status", std::to_string(status));
  const auto values = name_values(fields);
  nghttp2_submit_headers(impl_->session.get(), NGHTTP2_FLAG_NONE, stream, nullptr, values.data(),
                         values.size(), nullptr);
}

void Session::write(StreamId id, std::string_view bytes) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->finished) return;
  stream->unsent.append(bytes);
  impl_->unsent += bytes.size();
  nghttp2_session_resume_data(impl_->session.get(), id);
}

void Session::finish(StreamId id, const http::Headers& trailers) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr) return;
  stream->finished = true;
  stream->trailers = trailers;
  nghttp2_session_resume_data(impl_->session.get(), id);
}

std::size_t Session::unsent(StreamId stream) const {
  const Stream* found = impl_->find(stream);
  return found == nullptr ? 0 : found->unsent.size();
}

std::size_t Session::unsent() const {
  return impl_->unsent;
}

void Session::reset(StreamId stream, ErrorCode code) {
  if (impl_->find(stream) == nullptr) return;
  nghttp2_submit_rst_stream(impl_->session.get(), NGHTTP2_FLAG_NONE, stream,
                            static_cast<std::uint32_t>(code));
}

// ---- windows, pings, the end ----

void Session::consume(StreamId stream, std::size_t bytes) {
  nghttp2_session_consume(impl_->session.get(), stream, bytes);
}

void Session::set_window(StreamId stream, std::uint32_t size) {
  if (impl_->find(stream) == nullptr) return;
  nghttp2_session_set_local_window_size(impl_->session.get(), NGHTTP2_FLAG_NONE, stream,
                                        static_cast<std::int32_t>(size));
}

void Session::ping(std::uint64_t payload) {
  nghttp2_submit_ping(impl_->session.get(), NGHTTP2_FLAG_NONE,
                      reinterpret_cast<const std::uint8_t*>(&payload));
}

void Session::announce_shutdown() {
  nghttp2_submit_shutdown_notice(impl_->session.get());
}

void Session::shut_down() {
  nghttp2_session* session = impl_->session.get();
  nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR, nullptr,
                        0);
}

void Session::terminate(ErrorCode code) {
  nghttp2_session_terminate_session(impl_->session.get(), static_cast<std::uint32_t>(code));
}

std::uint32_t Session::peer_max_streams() const {
  return nghttp2_session_get_remote_settings(impl_->session.get(),
                                             NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

}  // namespace perigee::http2
