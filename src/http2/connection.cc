#include "http2/connection.h"

#include "async/combine.h"
#include "async/turn.h"
#include "http2/fields.h"

namespace perigee::http2 {
namespace {

constexpr Duration kLastWords = 1s;       // to tell the peer what is wrong with what it sent
constexpr std::size_t kSlice = 4 * 1024;  // of what was read, before others may have their turn

}  // namespace

Connection::Connection(async::Loop& loop, std::unique_ptr<sys::Stream> stream, Role role,
                       std::string ahead, const Terms& terms)
    : loop_(loop),
      stream_(std::move(stream)),
      peer_(stream_->peer()),
      local_(stream_->local()),
      role_(role),
      limits_(terms.limits),
      refusals_(terms.refusals),
      ahead_(std::move(ahead)),
      last_heard_(loop.now()),
      idle_since_(loop.now()),
      progress_(loop.now()),
      output_(loop),
      arrival_(loop),
      ended_(loop),
      session_(role, *this, limits_) {
  if (terms.frames) guard_.emplace(*terms.frames, loop.now());
}

Connection::~Connection() = default;

// ---- moving bytes ----

async::Task<void> Connection::run() {
  // However this task ends, cancelled or not: nobody may go on waiting for a stream.
  struct Guard {
    Connection& self;
    ~Guard() { self.close(); }
  };
  const Guard guard{*this};
  co_await async::first_of(loop_, pump(), ended_.wait());
}

void Connection::close() {
  lose(Error::make(Code::end_of_stream, fmt::format("{} closed the connection", peer_)));
  stream_.reset();
}

async::Task<void> Connection::pump() {
  co_await async::first_of(loop_, read_all(), write_all());
}

// Waits with little room: an idle connection holds no more than that.
async::Task<void> Connection::read_all() {
  std::array<char, kIdleRead> buffer;
  bool going_on = receive(std::exchange(ahead_, {}));
  while (going_on) {
    auto count = co_await stream_->read(buffer);
    if (!count) lose(std::move(count).error().with(peer_.str()));
    if (lost_ || *count == 0) co_return;
    going_on =
        receive({buffer.data(), *count}) && (*count < buffer.size() || co_await read_burst());
  }
  if (excess_) co_return co_await refuse(*excess_);
  if (lost_) co_await loop_.sleep(kLastWords);
}

// What is there already. False: nothing more is to be read.
async::Task<bool> Connection::read_burst() {
  const auto storage = std::make_unique_for_overwrite<char[]>(kReadBatch);
  const std::span<char> buffer(storage.get(), kReadBatch);
  for (;;) {
    auto count = stream_->try_read(buffer);
    if (!count) lose(std::move(count).error().with(peer_.str()));
    if (lost_) co_return false;
    if (!*count) co_return true;
    if (**count == 0) co_return false;
    for (std::string_view left(buffer.data(), **count); !left.empty();) {
      const std::string_view slice = left.substr(0, kSlice);
      if (!receive(slice)) co_return false;
      left.remove_prefix(slice.size());
      if (async::turn_is_long(loop_)) co_await loop_.yield();
      if (lost_) co_return false;
    }
  }
}

// False: the connection is over.
bool Connection::receive(std::string_view bytes) {
  last_heard_ = loop_.now();
  if (guard_ && !excess_) excess_ = guard_->see(bytes, last_heard_);
  if (excess_) return false;
  const auto received = session_.receive(bytes);
  output_.notify_all();
  if (!received) {
    count(Refusal::protocol);
    session_.terminate(ErrorCode::protocol_error);
    lose(received.error());
  }
  return received && !excess_;
}

async::Task<void> Connection::write_all() {
  std::string out;
  for (;;) {
    out.clear();
    session_.take_output(out, kWriteBatch);
    if (out.empty()) {
      if (lost_ || session_.finished()) co_return;
      std::string().swap(out);
      co_await output_.wait();
      continue;
    }
    writing_since_ = loop_.now();
    auto written = co_await stream_->write(out);
    writing_since_.reset();
    if (!written) {
      lose(std::move(written).error().with(peer_.str()));
      co_return;
    }
  }
}

// Every stream ends here, as its error tells; the first reason counts.
void Connection::lose(Error why) {
  if (lost_) return;
  lost_ = std::move(why);
  going_away_ = true;
  for (const auto& [id, stream] : std::exchange(streams_, {})) {
    stream->closed = ErrorCode::none;
    stream->changed.notify_all();
  }
  arrival_.notify_all();
  output_.notify_all();
}

void Connection::abort(Error why) {
  lose(std::move(why));
  ended_.set();
}

async::Task<void> Connection::refuse(Refusal why) {
  count(why);
  session_.terminate(ErrorCode::enhance_your_calm);
  lose(Error::make(Code::resource_exhausted,
                   fmt::format("{}: connection refused ({})", peer_, name(why))));
  co_await loop_.sleep(kLastWords);
  ended_.set();
}

void Connection::count(Refusal refusal) {
  if (refusals_ != nullptr) refusals_->count(refusal);
}

async::Task<void> Connection::drain() {
  going_away_ = true;
  if (role_ == Role::server) {
    session_.announce_shutdown();
    output_.notify_all();
    co_await loop_.sleep(kDrainNotice);  // what the peer sent before it read the notice is served
    session_.shut_down();
    output_.notify_all();
  }
  end_if_drained();
}

// ---- streams ----

StreamState* Connection::find(StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

std::size_t Connection::max_streams() const {
  return std::min<std::size_t>(session_.peer_max_streams(), limits_.max_streams);
}

Result<StreamPtr> Connection::open(const http::Headers& fields, Ending ending) {
  if (lost_) return fail(*lost_);
  if (going_away_) return fail(Code::unavailable, "{} takes no more requests", peer_);
  TRY(const StreamId id, session_.request(fields, ending));
  auto stream = std::make_shared<StreamState>(loop_, id, limits_);
  streams_.emplace(id, stream);
  output_.notify_all();
  return stream;
}

async::Task<StreamPtr> Connection::next_request() {
  while (arrived_.empty()) co_await arrival_.wait();
  StreamPtr stream = std::move(arrived_.front());
  arrived_.pop_front();
  co_return stream;
}

Result<void> Connection::respond(StreamState& stream, const http::Headers& fields, Ending ending) {
  if (stream.closed) return fail(closed_error(stream));
  TRY_VOID(session_.respond(stream.id, fields, ending));
  output_.notify_all();
  return {};
}

void Connection::inform(StreamState& stream, int status) {
  if (stream.closed) return;
  session_.inform(stream.id, status);
  output_.notify_all();
}

async::Task<Result<std::size_t>> Connection::read(StreamPtr stream, std::span<char> into) {
  for (;;) {
    CO_TRY(const std::optional<std::size_t> count, try_read(*stream, into));
    if (count) co_return *count;
    co_await stream->changed.wait();
  }
}

Result<std::optional<std::size_t>> Connection::try_read(StreamState& stream, std::span<char> into) {
  if (stream.unread.empty()) {
    if (stream.ended) return 0;
    if (stream.closed) return fail(closed_error(stream));
    return std::nullopt;
  }
  const std::size_t count = stream.unread.read(into);
  taken(stream, count);
  return count;
}

void Connection::when_readable(StreamState& stream, async::Waiter& waiter) {
  if (stream.unread.empty() && !stream.ended && !stream.closed) {
    stream.changed.add(waiter);
  } else {
    waiter.schedule();
  }
}

async::Task<Result<void>> Connection::write(StreamPtr stream, std::string_view data) {
  while (!data.empty()) {
    if (stream->closed) co_return fail(closed_error(*stream));
    const std::size_t unsent = session_.unsent(stream->id);
    const std::size_t all = session_.unsent();
    const std::size_t room =
        all < limits_.send_pressure ? limits_.send_buffer : limits_.least_send_buffer;
    if (unsent >= room) {
      co_await stream->changed.wait();
      continue;
    }
    if (all == 0) progress_ = loop_.now();
    const std::string_view piece = data.substr(0, room - unsent);
    session_.write(stream->id, piece);
    output_.notify_all();
    data.remove_prefix(piece.size());
  }
  co_return Result<void>();
}

void Connection::finish(StreamState& stream, const http::Headers& trailers) {
  if (stream.closed) return;
  session_.finish(stream.id, trailer_fields(trailers));
  output_.notify_all();
}

void Connection::release(StreamState& stream, ErrorCode code) {
  if (!stream.closed) {
    stream.closed = ErrorCode::cancel;
    session_.reset(stream.id, code);
    erase(stream);
  }
  drop_unread(stream);
  end_if_drained();
  output_.notify_all();
}

void Connection::give_up(StreamState& stream) {
  if (!stream.closed) count(Refusal::slow_reader);
  release(stream, ErrorCode::cancel);
}

void Connection::abandon(StreamState& stream) {
  if (guard_ && !stream.closed) guard_->answered();
  erase(stream);
  drop_unread(stream);
}

void Connection::erase(const StreamState& stream) {
  const bool was_there = streams_.erase(stream.id) > 0;
  if (was_there && streams_.empty()) idle_since_ = loop_.now();
}

void Connection::drop_unread(StreamState& stream) {
  const std::size_t size = stream.unread.size();
  stream.unread.consume(size);
  taken(stream, size);
}

void Connection::end_if_drained() {
  if (!going_away_ || role_ == Role::server || !streams_.empty()) return;
  session_.terminate(ErrorCode::none);
  output_.notify_all();
}

Error Connection::closed_error(const StreamState& stream) const {
  if (lost_) return *lost_;
  const ErrorCode code = stream.closed.value_or(ErrorCode::none);
  if (code == ErrorCode::refused_stream) {
    return Error::make(Code::unavailable, fmt::format("{} refused the stream", peer_));
  }
  return Error::make(Code::end_of_stream, fmt::format("{} reset the stream (error {})", peer_,
                                                      static_cast<std::uint32_t>(code)));
}

// ---- windows and pings ----

void Connection::taken(StreamState& stream, std::size_t bytes) {
  if (bytes == 0) return;
  unread_ -= bytes;
  if (unread_ < limits_.unread_pressure / 2) pressure_ = Pressure::none;
  session_.consume(stream.id, bytes);
  if (stream.window.taken(bytes, loop_.now(), rtt_.smoothed(), pressure_)) {
    session_.set_window(stream.id, stream.window.size());
  }
  output_.notify_all();
}

void Connection::begin_window(StreamState& stream) {
  if (pressure_ == Pressure::pressed) return;
  stream.window = StreamWindow(loop_.now(), limits_.first_window, limits_);
  session_.set_window(stream.id, limits_.first_window);
}

void Connection::press() {
  pressure_ = Pressure::pressed;
  for (const auto& [id, stream] : streams_) {
    if (stream->window.size() == limits_.least_window) continue;
    stream->window.press(loop_.now());
    session_.set_window(id, limits_.least_window);
  }
}

void Connection::ping() {
  if (lost_ || pings_.size() >= kMaxPingsInFlight) return;
  pings_.emplace(++last_ping_, loop_.now());
  session_.ping(last_ping_);
  output_.notify_all();
}

// ---- what the session tells ----

void Connection::on_head(StreamId id, http::Headers fields) {
  if (role_ == Role::client) {
    StreamState* stream = find(id);
    if (stream == nullptr) return;
    stream->head = std::move(fields);
    stream->changed.notify_all();
    return;
  }
  auto stream = std::make_shared<StreamState>(loop_, id, limits_);
  stream->head = std::move(fields);
  begin_window(*stream);
  streams_.emplace(id, stream);
  arrived_.push_back(std::move(stream));
  arrival_.notify_all();
}

void Connection::on_data(StreamId id, std::string_view bytes) {
  StreamState* stream = find(id);
  if (stream == nullptr) return session_.consume(id, bytes.size());  // nobody wants it any more
  stream->unread.append(bytes);
  unread_ += bytes.size();
  if (unread_ > limits_.unread_pressure && pressure_ == Pressure::none) press();
  stream->changed.notify_all();
}

void Connection::on_trailers(StreamId id, http::Headers fields) {
  if (StreamState* stream = find(id)) stream->trailers = std::move(fields);
}

void Connection::on_end(StreamId id) {
  StreamState* stream = find(id);
  if (stream == nullptr) return;
  stream->ended = true;
  stream->changed.notify_all();
}

void Connection::on_departed(StreamId id) {
  StreamState* stream = find(id);
  if (stream == nullptr) return;
  stream->departed = true;
  begin_window(*stream);
}

void Connection::on_progress(StreamId id) {
  progress_ = loop_.now();
  if (guard_) guard_->data_sent();
  if (StreamState* stream = find(id)) stream->changed.notify_all();
}

void Connection::on_closed(StreamId id, ErrorCode code) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second->closed = code;
  found->second->changed.notify_all();
  std::erase(arrived_, found->second);  // nobody need begin with it
  erase(*StreamPtr(found->second));
  end_if_drained();
}

void Connection::on_ping_answer(std::uint64_t payload) {
  const auto found = pings_.find(payload);
  if (found == pings_.end()) return;
  rtt_.add(loop_.now() - found->second);
  pings_.erase(pings_.begin(), std::next(found));  // an answer to a later one answers the earlier
}

void Connection::on_goaway() {
  going_away_ = true;
}

void Connection::on_stream_mistake(ErrorCode code) {
  if (code == ErrorCode::refused_stream) {
    if (guard_ && !excess_) excess_ = guard_->stream_refused(loop_.now());
    return;
  }
  count(code == ErrorCode::protocol_error ? Refusal::malformed : Refusal::protocol);
  if (guard_ && !excess_) excess_ = guard_->error_made(loop_.now());
}

void Connection::on_connection_mistake(ErrorCode) {
  if (!lost_) count(Refusal::protocol);
}

// ---- patience ----

Duration Connection::head_overdue() const {
  const auto since = guard_ ? guard_->waiting_since() : std::nullopt;
  return since ? loop_.now() - *since : Duration::zero();
}

Duration Connection::stalled() const {
  const Duration writing = writing_since_ ? loop_.now() - *writing_since_ : Duration::zero();
  const Duration held = session_.unsent() > 0 ? loop_.now() - progress_ : Duration::zero();
  return std::max(writing, held);
}

Duration Connection::idle() const {
  return streams_.empty() ? loop_.now() - idle_since_ : Duration::zero();
}

}  // namespace perigee::http2
