// The exec stream on the wire: u8 type, u32 LE length, payload (docs/formats/exec-stream.md).
// Sans-I/O:
//
//   ServerDecoder decoder;  decoder.feed(bytes);
//   for (;;) { CO_TRY(auto message, decoder.next()); if (!message) break; … }
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "exec/types.h"

namespace perigee::exec {

std::string encode(const Start& message);
std::string encode(const Input& message);
std::string encode(const EndInput& message);
std::string encode(const Resize& message);
std::string encode(const Signal& message);
std::string encode(const Started& message);
std::string encode(const Output& message);
std::string encode(const Exited& message);
std::string encode(const Failed& message);

// Cuts frames off a byte stream. Memory: one frame and what one feed() brings.
class FrameBuffer {
 public:
  struct Frame {
    std::uint8_t type = 0;
    std::string payload;
  };
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame; `data_loss` for one that is too long.
  Result<std::optional<Frame>> next();

 private:
  std::string buffer_;
  std::size_t start_ = 0;
};

// What a client sends, at the server. Frames of an unknown type are skipped; after an error the
// stream is unusable.
class ClientDecoder {
 public:
  void feed(std::string_view bytes) { frames_.feed(bytes); }
  // nullopt: more bytes are needed.
  Result<std::optional<ClientMessage>> next();

 private:
  FrameBuffer frames_;
};

// What a server sends, at the client.
class ServerDecoder {
 public:
  void feed(std::string_view bytes) { frames_.feed(bytes); }
  Result<std::optional<ServerMessage>> next();

 private:
  FrameBuffer frames_;
};

}  // namespace perigee::exec
