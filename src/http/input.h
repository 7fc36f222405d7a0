// Input: what was read from a stream ahead of what has been parsed; and BodyReader, a message body
// read through it. Private to http, used by server and client alike.
//
// Bytes go from the socket into the buffer in one step that can't be cancelled halfway: whoever
// waits may be destroyed, and nothing is lost. Two coroutines may ask for more at once (a body's
// reader, and one that watches for the peer's end): one reads, the other waits for it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "async/event.h"
#include "http/codec.h"
#include "http/message.h"
#include "sys/network.h"

namespace perigee::http {

class Input {
 public:
  Input(async::Loop& loop, sys::Stream& stream) : stream_(stream), arrived_(loop) {}

  std::string_view view() const { return {buffer_.get() + start_, end_ - start_}; }
  bool empty() const { return start_ == end_; }
  bool ended() const { return ended_; }
  void consume(std::size_t size);
  // Waits for more bytes, at least one or the end; `room` is how many it makes place for.
  async::Task<Result<void>> more(std::size_t room);
  // What is there now without waiting, if anything; up to `room`.
  Result<void> take_ready(std::size_t room);
  // Gives the buffer back; only while empty(), and nobody waits.
  void release();
  // What is there now without waiting, straight to `into`; only while empty().
  Result<std::optional<std::size_t>> try_read(std::span<char> into);

 private:
  std::span<char> make_room(std::size_t room);

  sys::Stream& stream_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  bool ended_ = false;
  bool filling_ = false;
  async::Notify arrived_;
};

class BodyReader : public Body {
 public:
  // `timeout` between two arrivals; zero: the caller bounds its reads.
  BodyReader(async::Loop& loop, Input& input, Framing framing, Duration timeout)
      : loop_(loop), input_(input), framing_(framing), decoder_(framing), timeout_(timeout) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  std::optional<std::uint64_t> length() const override;
  std::size_t ready() const override;
  Headers trailers() const override { return decoder_.trailers(); }
  bool done() const { return decoder_.done(); }

 private:
  Result<std::optional<std::size_t>> take(std::span<char> into);
  Result<std::size_t> take_buffered(std::span<char> into);
  Result<void> end();
  async::Task<Result<void>> wait();

  async::Loop& loop_;
  Input& input_;
  Framing framing_;
  BodyDecoder decoder_;
  Duration timeout_;
  std::optional<Error> broken_;  // malformed from here on
};

}  // namespace perigee::http
