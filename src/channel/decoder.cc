#include "channel/decoder.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "channel/limits.h"
#include "channel/wire.h"

namespace perigee::channel {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

std::uint32_t payload_length(std::string_view bytes) {
  return Reader(bytes).get<std::uint32_t>();
}

Frame frame_at_front(std::string_view bytes, std::size_t length) {
  return {static_cast<std::uint8_t>(bytes[4]), std::string(bytes.substr(kFrameHeader, length))};
}

// Where `mark` begins in `bytes`, whole or, at the very end, in part.
std::size_t find_mark(std::string_view bytes, std::string_view mark) {
  const std::size_t whole = bytes.find(mark);
  if (whole != kNone) {
    return whole;
  }
  std::size_t length = std::min(bytes.size(), mark.size() - 1);
  for (; length > 0; --length) {
    if (bytes.ends_with(mark.substr(0, length))) {
      return bytes.size() - length;
    }
  }
  return kNone;
}

}  // namespace

void Buffer::consume(std::size_t count) {
  start_ += count;
  if (start_ >= bytes_.size()) {
    clear();
  } else if (start_ > bytes_.size() / 2) {
    bytes_.erase(0, start_);
    start_ = 0;
  }
}

void Buffer::clear() {
  bytes_.clear();
  start_ = 0;
}

void HostDecoder::skip_to_preamble() {
  const std::string_view bytes = buffer_.view();
  const std::size_t at = find_mark(bytes, preamble_);
  if (at == kNone) {
    buffer_.clear();
    return;
  }
  attached_ = bytes.size() - at >= preamble_.size();
  buffer_.consume(attached_ ? at + preamble_.size() : at);
}

Decoded<std::optional<GuestMessage>> HostDecoder::next() {
  if (!attached_) {
    skip_to_preamble();
  }
  while (attached_) {
    const std::string_view bytes = buffer_.view();
    if (bytes.size() < kFrameHeader) {
      break;
    }
    const std::size_t length = payload_length(bytes);
    if (length > kMaxFrame) {
      return std::unexpected(DecodeError::kFrameTooBig);
    }
    if (bytes.size() < kFrameHeader + length) {
      break;
    }
    const Frame frame = frame_at_front(bytes, length);
    buffer_.consume(kFrameHeader + length);
    auto message = decode_guest_frame(frame);
    if (!message || *message) {
      return message;
    }
  }
  return std::optional<GuestMessage>{};
}

void GuestDecoder::detach() {
  buffer_.clear();
  state_ = State::kSkipping;
}

std::optional<std::size_t> GuestDecoder::preamble_at() const {
  const std::size_t at = find_mark(buffer_.view(), kHostMagic);
  return at == kNone ? std::nullopt : std::optional(at);
}

// The preamble at the front, or the next one when that was cut inside its nonce. False: more bytes
// are needed.
bool GuestDecoder::take_preamble() {
  while (buffer_.view().size() >= kPreamble) {
    const std::string_view bytes = buffer_.view();
    const std::string_view nearby = bytes.substr(1, kPreamble - 1 + kHostMagic.size());
    const std::size_t next = find_mark(nearby, kHostMagic);
    if (next >= kPreamble - 1) {  // kNone too
      nonce_ = Reader(bytes.substr(kHostMagic.size())).get<std::uint64_t>();
      buffer_.consume(kPreamble);
      state_ = State::kAttaching;
      return true;
    }
    if (!nearby.substr(next).starts_with(kHostMagic)) {
      return false;
    }
    buffer_.consume(next + 1);
  }
  return false;
}

// The whole frame at the front, unless a preamble begins inside it: then it was cut off there.
std::optional<Frame> GuestDecoder::take_frame() {
  while (true) {
    const std::string_view bytes = buffer_.view();
    const std::optional<std::size_t> mark = preamble_at();
    const std::size_t end = mark.value_or(bytes.size());
    const bool has_header = state_ != State::kSkipping && end >= kFrameHeader;
    const std::size_t length = has_header ? payload_length(bytes) : 0;
    if (has_header && length > kMaxFrame) {
      state_ = State::kSkipping;
      continue;
    }
    if (has_header && end >= kFrameHeader + length) {
      Frame frame = frame_at_front(bytes, length);
      buffer_.consume(kFrameHeader + length);
      return frame;
    }
    if (mark && bytes.size() - *mark >= kPreamble) {
      buffer_.consume(*mark);
      if (take_preamble()) {
        continue;
      }
      state_ = State::kSkipping;
      return std::nullopt;
    }
    if (state_ == State::kSkipping) {
      mark ? buffer_.consume(*mark) : buffer_.clear();
    }
    return std::nullopt;
  }
}

std::optional<HostMessage> GuestDecoder::next() {
  while (std::optional<Frame> frame = take_frame()) {
    Decoded<std::optional<HostMessage>> message = decode_host_frame(*frame);
    const bool is_attach = message && *message && std::holds_alternative<Attach>(**message);
    if (!message || is_attach != (state_ == State::kAttaching)) {
      state_ = State::kSkipping;
      continue;
    }
    if (is_attach) {
      std::get<Attach>(**message).nonce = nonce_;
      state_ = State::kAttached;
    }
    if (*message) {
      return std::move(**message);
    }
  }
  return std::nullopt;
}

}  // namespace perigee::channel
