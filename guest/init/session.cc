#include "init/session.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "channel/codec.h"
#include "channel/limits.h"

namespace perigee::init {
namespace {

using namespace perigee::channel;

constexpr std::size_t kFrameOverhead = 64;  // of memory, so that one-byte lines count too
constexpr std::size_t kWriteAhead = std::size_t{32} * 1024;

}  // namespace

std::optional<HostMessage> Session::next() {
  while (std::optional<HostMessage> message = decoder_.next()) {
    if (const auto* attach_message = std::get_if<Attach>(&*message)) {
      attach(*attach_message);
    } else if (const auto* ack = std::get_if<Ack>(&*message)) {
      acknowledge(ack->sequence);
    } else if (const auto* ping = std::get_if<Ping>(&*message)) {
      out_ += encode(Pong{ping->token});
    } else {
      return message;
    }
  }
  return std::nullopt;
}

// Whatever is half written belongs to the old connection: the host skips to this preamble.
void Session::attach(const Attach& message) {
  attached_ = true;
  ++attachments_;
  acknowledge(message.received);
  unsent_from_ = 0;
  out_start_ = 0;
  out_ =
      guest_preamble(message.nonce) + encode(Hello{kProtocolVersion, state_, pid_, dropped_bytes_});
}

void Session::host_gone(std::int64_t now_ms) {
  if (attached_) {
    detached_since_ms_ = now_ms;
  }
  attached_ = false;
  decoder_.detach();
  out_.clear();
  out_start_ = 0;
}

void Session::acknowledge(std::uint64_t sequence) {
  while (!kept_.empty() && kept_.front().sequence <= sequence) {
    kept_bytes_ -= kept_.front().frame.size() + kFrameOverhead;
    kept_.pop_front();
    unsent_from_ -= std::min<std::size_t>(unsent_from_, 1);
  }
}

void Session::keep(std::size_t output_bytes, std::string frame) {
  kept_bytes_ += frame.size() + kFrameOverhead;
  kept_.push_back({last_sequence_, output_bytes, std::move(frame)});
}

bool Session::full() const {
  return kept_bytes_ + channel::kMaxOutputChunk + kFrameOverhead > kMaxUnacknowledged;
}

void Session::drop_oldest() {
  dropped_bytes_ += kept_.front().output_bytes;
  acknowledge(kept_.front().sequence);
}

void Session::started(std::uint32_t pid) {
  state_ = GuestState::kRunning;
  pid_ = pid;
  if (attached_) {
    out_ += encode(Started{pid});
  }
}

void Session::output(Stream stream, std::string_view bytes) {
  while (full()) {
    drop_oldest();
  }
  ++last_sequence_;
  keep(bytes.size(), encode(Output{stream, last_sequence_, std::string(bytes)}));
}

void Session::exited(Exited report) {
  state_ = GuestState::kExited;
  report.sequence = ++last_sequence_;
  keep(0, encode(report));
}

void Session::failed(std::string message) {
  state_ = GuestState::kFailed;
  ++last_sequence_;
  keep(0, encode(Failed{last_sequence_, std::move(message)}));
}

void Session::send_unkept(std::string_view frame) {
  if (attached_) {
    out_ += frame;
  }
}

bool Session::takes_unkept() const {
  return attached_ && out_.size() - out_start_ < kWriteAhead;
}

bool Session::takes_output(std::int64_t now_ms) const {
  return !full() || (!attached_ && now_ms >= detached_since_ms_ + kDetachedPatienceMs);
}

std::optional<std::int64_t> Session::drops_from_ms() const {
  if (attached_ || !full()) {
    return std::nullopt;
  }
  return detached_since_ms_ + kDetachedPatienceMs;
}

std::string_view Session::pending() {
  if (!attached_) {
    return {};
  }
  while (out_.size() - out_start_ < kWriteAhead && unsent_from_ < kept_.size()) {
    out_ += kept_[unsent_from_++].frame;
  }
  return std::string_view(out_).substr(out_start_);
}

void Session::wrote(std::size_t count) {
  out_start_ += count;
  if (out_start_ >= out_.size()) {
    out_.clear();
    out_start_ = 0;
  } else if (out_start_ > kWriteAhead) {
    out_.erase(0, out_start_);
    out_start_ = 0;
  }
}

}  // namespace perigee::init
