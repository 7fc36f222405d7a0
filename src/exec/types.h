// What the two ends of an exec stream tell each other. The client asks for a process and feeds it;
// the server is the machine's monitor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace perigee::exec {

inline constexpr std::string_view kProtocol = "perigee-exec/1";  // of an HTTP Upgrade

struct WindowSize {
  std::uint16_t rows = 0;  // 0: unknown
  std::uint16_t cols = 0;
  bool operator==(const WindowSize&) const = default;
};

// Client to server -----------------------------------------------------------------------------

// The first message, once. Text is UTF-8.
struct Start {
  std::vector<std::string> command = {};  // at least one word
  std::vector<std::string> env = {};      // "KEY=value", over the app's
  std::string user = {};                  // empty: the app's
  std::string directory = {};             // empty: the app's
  bool tty = false;
  WindowSize window = {};
  bool operator==(const Start&) const = default;
};
struct Input {
  std::string bytes;
  bool operator==(const Input&) const = default;
};
struct EndInput {
  bool operator==(const EndInput&) const = default;
};
struct Resize {
  WindowSize window;
  bool operator==(const Resize&) const = default;
};
struct Signal {  // to the process's group
  std::uint32_t number = 0;
  bool operator==(const Signal&) const = default;
};
using ClientMessage = std::variant<Start, Input, EndInput, Resize, Signal>;

// Server to client -----------------------------------------------------------------------------

struct Started {
  bool operator==(const Started&) const = default;
};
enum class Channel : std::uint8_t { out, err };
struct Output {
  Channel channel = Channel::out;  // a terminal has only this one
  std::string bytes;
  bool operator==(const Output&) const = default;
};
// The last message: how the process ended.
struct Exited {
  std::uint32_t exit_code = 0;  // 128 + signal when signalled
  std::uint32_t signal = 0;
  bool operator==(const Exited&) const = default;
};
// The last message: it could not be started, or was lost.
struct Failed {
  Code code = Code::internal;
  std::string sentence;
  bool operator==(const Failed&) const = default;
};
using ServerMessage = std::variant<Started, Output, Exited, Failed>;

}  // namespace perigee::exec
