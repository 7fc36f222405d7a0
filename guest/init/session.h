// The guest's end of the control channel: sans-I/O. Bytes from the host go in, messages that init
// acts on come out; output and the final report go in, bytes for the host come out. Unacknowledged
// frames are kept, within a bound, and sent again to a host that attaches anew.
//
// When the bound is reached takes_output() is false: init leaves the app's pipes alone and the app
// waits (back-pressure). With no host for kDetachedPatience the oldest output is dropped instead,
// and counted for the next Hello. Owned by Supervisor; one thread; times in milliseconds.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "channel/decoder.h"
#include "channel/types.h"

namespace perigee::init {

inline constexpr std::size_t kMaxUnacknowledged = std::size_t{256} * 1024;
inline constexpr std::int64_t kDetachedPatienceMs = 5000;

class Session {
 public:
  explicit Session(std::int64_t now_ms) : detached_since_ms_(now_ms) {}

  void feed(std::string_view bytes) { decoder_.feed(bytes); }
  // The next message that init acts on; Attach, Ack and Ping are answered in here.
  std::optional<channel::HostMessage> next();
  void host_gone(std::int64_t now_ms);
  bool attached() const { return attached_; }
  // How often a host has attached: what lives with one connection ends when this rises.
  std::uint64_t attachments() const { return attachments_; }

  void started(std::uint32_t pid);
  void output(channel::Stream stream, std::string_view bytes);
  void exited(channel::Exited report);
  void failed(std::string message);

  // A frame for the host that is connected now, not to be repeated. While takes_unkept() is false
  // there is enough under way: what can wait is to wait.
  void send_unkept(std::string_view frame);
  bool takes_unkept() const;

  bool takes_output(std::int64_t now_ms) const;
  // When takes_output() turns true by itself; nullopt: only an Ack can.
  std::optional<std::int64_t> drops_from_ms() const;
  // Nothing is left that the host has not acknowledged.
  bool acknowledged() const { return kept_.empty(); }

  // Bytes to write now, and how many of them were.
  std::string_view pending();
  void wrote(std::size_t count);

 private:
  struct Kept {
    std::uint64_t sequence = 0;
    std::size_t output_bytes = 0;
    std::string frame;
  };

  void attach(const channel::Attach& message);
  void acknowledge(std::uint64_t sequence);
  void keep(std::size_t output_bytes, std::string frame);
  void drop_oldest();
  bool full() const;

  channel::GuestDecoder decoder_;
  bool attached_ = false;
  std::uint64_t attachments_ = 0;
  std::int64_t detached_since_ms_;
  channel::GuestState state_ = channel::GuestState::kWaiting;
  std::uint32_t pid_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t dropped_bytes_ = 0;
  std::deque<Kept> kept_;
  std::size_t kept_bytes_ = 0;
  std::size_t unsent_from_ = 0;  // index into kept_
  std::string out_;
  std::size_t out_start_ = 0;
};

}  // namespace perigee::init
