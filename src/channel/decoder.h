// Byte streams into messages, on both ends of the control channel. Sans-I/O: feed() takes what was
// read, next() gives messages until it has no whole one. A connection may be cut anywhere and a new
// host may take it up on the same port, so each side finds its place again by a preamble:
//
//   HostDecoder decoder(nonce);            // the host: after sending Attach{nonce}
//   decoder.feed(bytes);
//   while (true) {
//     auto message = decoder.next();       // skips what an earlier connection left
//     if (!message) { /* the guest broke the format: attach again, or give up */ }
//     if (!*message) break;                // nothing whole yet
//     handle(**message);
//   }
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "channel/codec.h"
#include "channel/types.h"

namespace perigee::channel {

// Bytes with a read position: consumed ones are given back when half of the buffer is used up.
class Buffer {
 public:
  void append(std::string_view bytes) { bytes_.append(bytes); }
  void consume(std::size_t count);
  void clear();
  std::string_view view() const { return std::string_view(bytes_).substr(start_); }

 private:
  std::string bytes_;
  std::size_t start_ = 0;
};

// The host's end. Memory: at most one frame and what one feed() brings, while next() is called
// until it gives nothing.
class HostDecoder {
 public:
  explicit HostDecoder(std::uint64_t nonce) : preamble_(guest_preamble(nonce)) {}

  void feed(std::string_view bytes) { buffer_.append(bytes); }

  // The next message; nullopt: more bytes are needed. After an error the stream is unusable.
  Decoded<std::optional<GuestMessage>> next();

  // Whether the guest has answered this connection's Attach.
  bool attached() const { return attached_; }

 private:
  void skip_to_preamble();

  std::string preamble_;
  Buffer buffer_;
  bool attached_ = false;
};

// The guest's end. Looks for the host's preamble at every point of the stream, so that an Attach is
// seen even behind half a frame. What can't be read is skipped up to the next preamble: a host that
// is in error attaches again.
class GuestDecoder {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  std::optional<HostMessage> next();

  // The connection is gone: the rest of its last frame will never come.
  void detach();

 private:
  enum class State : std::uint8_t { kSkipping, kAttaching, kAttached };

  std::optional<std::size_t> preamble_at() const;
  bool take_preamble();
  std::optional<Frame> take_frame();

  Buffer buffer_;
  std::uint64_t nonce_ = 0;
  State state_ = State::kSkipping;
};

}  // namespace perigee::channel
