// What the tests of users' connections share: frames made by hand, and a user who sends whatever
// bytes the test wants, in a simulation, to a ServerConnection, and keeps what comes back.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "http2/protocol.h"
#include "http2/test_fixture.h"

namespace perigee::http2 {

enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kReset = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
inline constexpr std::uint8_t kEndStream = 0x1;
inline constexpr std::uint8_t kEndHeaders = 0x4;
inline constexpr std::uint8_t kPadded = 0x8;
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

inline std::string big_endian(std::uint32_t value, int bytes = 4) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

inline std::string word(std::uint32_t value) {
  return big_endian(value);
}

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload = {}) {
  std::string out = big_endian(static_cast<std::uint32_t>(payload.size()), 3);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out + big_endian(stream) + std::string(payload);
}

// HPACK without compression: literals without indexing (RFC 7541 section 6.2.2).
inline std::string length_prefixed(std::string_view text) {
  constexpr std::size_t kPrefix = 127;
  std::string out;
  if (text.size() < kPrefix) {
    out += static_cast<char>(text.size());
  } else {
    out += static_cast<char>(kPrefix);
    std::size_t rest = text.size() - kPrefix;
    for (; rest >= 128; rest /= 128) out += static_cast<char>(rest % 128 + 128);
    out += static_cast<char>(rest);
  }
  return out + std::string(text);
}

using Fields = std::vector<std::pair<std::string, std::string>>;
inline std::string block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out += '\0';
    out += length_prefixed(name) + length_prefixed(value);
  }
  return out;
}

inline Fields get(const std::string& path, const Fields& more = {}) {
  Fields all{{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", path}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline std::string request(std::uint32_t stream, const Fields& fields,
                           std::uint8_t flags = kEndStream | kEndHeaders) {
  return frame(kHeaders, flags, stream, block(fields));
}

struct ReceivedFrame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload{};
  std::uint32_t word(std::size_t at) const {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      value = value << 8 | static_cast<std::uint8_t>(payload.at(i));
    }
    return value;
  }
};

inline std::vector<ReceivedFrame> frames_in(std::string_view bytes) {
  constexpr std::size_t kHead = 9;
  std::vector<ReceivedFrame> all;
  while (bytes.size() >= kHead) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    const std::size_t size = static_cast<std::size_t>(byte(0) << 16 | byte(1) << 8 | byte(2));
    if (bytes.size() < kHead + size) break;
    ReceivedFrame next{.type = byte(3), .flags = byte(4)};
    for (std::size_t i = 5; i < kHead; ++i) next.stream = next.stream << 8 | byte(i);
    next.payload = bytes.substr(kHead, size);
    all.push_back(std::move(next));
    bytes.remove_prefix(kHead + size);
  }
  return all;
}

// A user's connection to a server.
struct RawUser {
  explicit RawUser(sim::Link link = {},
                   std::string first = std::string(kPreface) + frame(kSettings, 0, 0)) {
    simulation.network().set_link(0, 1, link);
    simulation.run(connect(*this));
    send(std::move(first));
  }
  ~RawUser() {
    tasks.cancel_all();
    server.reset();
  }
  static async::Task<void> connect(RawUser& self) {
    const auto at = *sys::Address::ip(sim::SimNetwork::address_of(1), 443);
    auto listener = self.server_node->host().network.listen(at);
    auto stream = co_await self.user_node->host().network.connect(at, self.loop().deadline_in(10s));
    REQUIRE(stream.has_value());
    self.stream = *std::move(stream);
    auto accepted = co_await (*listener)->accept();
    self.server = std::make_unique<ServerConnection>(self.context,
                                                     http::Accepted{.stream = *std::move(accepted)},
                                                     Counterpart::user, &self.refusals);
    self.tasks.spawn(self.server->run());
    self.tasks.spawn(read(self));
  }
  static async::Task<void> read(RawUser& self) {
    std::vector<char> buffer(64 * 1024);
    for (;;) {
      while (self.deaf) co_await self.loop().sleep(100ms);
      const auto count = co_await self.stream->read(buffer);
      if (!count || *count == 0) break;
      self.received.append(buffer.data(), *count);
    }
    self.closed = true;
  }
  static async::Task<void> write(RawUser& self, std::string bytes) {
    std::ignore = co_await self.stream->write(bytes);
  }
  void send(std::string bytes) { tasks.spawn(write(*this, std::move(bytes))); }
  void wait(Duration time = 500ms) { simulation.run_for(time); }
  async::Loop& loop() { return simulation.loop(); }

  std::vector<ReceivedFrame> frames() const { return frames_in(received); }
  // The code of the connection's end; nullopt: no GOAWAY came.
  std::optional<ErrorCode> goaway() const {
    std::optional<ErrorCode> code;
    for (const ReceivedFrame& each : frames()) {
      if (each.type == kGoaway) code = static_cast<ErrorCode>(each.word(4));
    }
    return code;
  }
  std::optional<ErrorCode> reset(std::uint32_t stream_id) const {
    for (const ReceivedFrame& each : frames()) {
      if (each.type == kReset && each.stream == stream_id) {
        return static_cast<ErrorCode>(each.word(0));
      }
    }
    return std::nullopt;
  }
  std::size_t count(FrameType type) const {
    std::size_t total = 0;
    for (const ReceivedFrame& each : frames()) total += each.type == type ? 1 : 0;
    return total;
  }
  // The bytes of a stream's answer.
  std::string body(std::uint32_t stream_id) const {
    std::string all;
    for (const ReceivedFrame& each : frames()) {
      if (each.type == kData && each.stream == stream_id) all += each.payload;
    }
    return all;
  }
  bool answered(std::uint32_t stream_id) const {
    for (const ReceivedFrame& each : frames()) {
      const bool message = each.type == kData || each.type == kHeaders;
      if (message && each.stream == stream_id && (each.flags & kEndStream) != 0) return true;
    }
    return false;
  }

  sim::Simulation simulation{1};
  sim::Node* user_node = &simulation.add_node("user");
  sim::Node* server_node = &simulation.add_node("server");
  TestHandler handler{simulation.loop()};
  http::ServerContext context{server_node->host(), handler, {}};
  Refusals refusals;
  std::unique_ptr<ServerConnection> server;
  std::unique_ptr<sys::Stream> stream;
  std::string received;
  bool closed = false;
  bool deaf = false;  // does not read
  async::TaskGroup tasks{simulation.loop()};
};

}  // namespace perigee::http2
