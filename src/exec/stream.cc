#include "exec/stream.h"

#include <utility>

#include "base/text.h"
#include "exec/limits.h"
#include "json/json.h"

namespace perigee::exec {
namespace {

enum class Type : std::uint8_t {
  start = 0x01,
  input = 0x02,
  end_input = 0x03,
  resize = 0x04,
  signal = 0x05,
  started = 0x81,
  out = 0x82,
  err = 0x83,
  exited = 0x84,
  failed = 0x85,
};

constexpr std::size_t kHeader = 5;

template <typename T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
}

// The number at `at`; the caller has looked at the size.
template <typename T>
T get(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return static_cast<T>(value);
}

std::string frame(Type type, std::string_view payload) {
  std::string out;
  out.reserve(kHeader + payload.size());
  put(out, static_cast<std::uint8_t>(type));
  put(out, static_cast<std::uint32_t>(payload.size()));
  return out.append(payload);
}

Result<std::uint16_t> dimension(const json::Value& value, std::string_view key) {
  TRY(const std::int64_t number, value.optional_int(key, 0));
  if (number < 0 || number > 0xffff) return fail(Code::invalid_argument, "{}: not a size", key);
  return static_cast<std::uint16_t>(number);
}

Result<Start> start_from(std::string_view payload) {
  TRY(const json::Value value, json::parse(payload));
  if (!value.is_object()) return fail(Code::invalid_argument, "expected an object");
  Start start;
  TRY(start.command, value.optional_strings("command"));
  TRY(start.env, value.optional_strings("env"));
  TRY(start.user, value.optional_string("user"));
  TRY(start.directory, value.optional_string("directory"));
  TRY(start.tty, value.optional_bool("tty", false));
  TRY(start.window.rows, dimension(value, "rows"));
  TRY(start.window.cols, dimension(value, "cols"));
  if (start.command.empty()) return fail(Code::invalid_argument, "command: empty");
  if (start.command.size() > kMaxWords || start.env.size() > kMaxWords)
    return fail(Code::invalid_argument, "command, env: at most {} words", kMaxWords);
  return start;
}

Code code_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    if (info(static_cast<Code>(i)).name == name) return static_cast<Code>(i);
  }
  return Code::internal;
}

Result<Failed> failed_from(std::string_view payload) {
  TRY(const json::Value value, json::parse(payload));
  Failed failed;
  TRY(failed.sentence, value.optional_string("error"));
  TRY(const std::string code, value.optional_string("status"));
  failed.code = code_named(code);
  return failed;
}

std::unexpected<Error> too_short() {
  return fail(Code::data_loss, "exec stream: a frame is too short for its type");
}

using FromClient = std::optional<ClientMessage>;
using FromServer = std::optional<ServerMessage>;

// nullopt for a type that this version does not know.
Result<FromClient> client_message(FrameBuffer::Frame frame) {
  switch (static_cast<Type>(frame.type)) {
    case Type::start: {
      TRY_AS(Start start, start_from(frame.payload), "exec stream: start");
      return FromClient(std::move(start));
    }
    case Type::input:
      return FromClient(Input{std::move(frame.payload)});
    case Type::end_input:
      return FromClient(EndInput{});
    case Type::resize:
      if (frame.payload.size() < 4) return too_short();
      return FromClient(
          Resize{{get<std::uint16_t>(frame.payload, 0), get<std::uint16_t>(frame.payload, 2)}});
    case Type::signal:
      if (frame.payload.size() < 4) return too_short();
      return FromClient(Signal{get<std::uint32_t>(frame.payload, 0)});
    default:
      return FromClient();
  }
}

Result<FromServer> server_message(FrameBuffer::Frame frame) {
  switch (static_cast<Type>(frame.type)) {
    case Type::started:
      return FromServer(Started{});
    case Type::out:
      return FromServer(Output{Channel::out, std::move(frame.payload)});
    case Type::err:
      return FromServer(Output{Channel::err, std::move(frame.payload)});
    case Type::exited:
      if (frame.payload.size() < 8) return too_short();
      return FromServer(
          Exited{get<std::uint32_t>(frame.payload, 0), get<std::uint32_t>(frame.payload, 4)});
    case Type::failed: {
      TRY_AS(Failed failed, failed_from(frame.payload), "exec stream: failure");
      return FromServer(std::move(failed));
    }
    default:
      return FromServer();
  }
}

// Frames until one has a message.
template <typename Message>
Result<std::optional<Message>> next_of(FrameBuffer& frames,
                                       Result<std::optional<Message>> (*read)(FrameBuffer::Frame)) {
  for (;;) {
    TRY(std::optional<FrameBuffer::Frame> frame, frames.next());
    if (!frame) return std::optional<Message>();
    TRY(std::optional<Message> message, read(*std::move(frame)));
    if (message) return message;
  }
}

}  // namespace

std::string encode(const Start& message) {
  return frame(Type::start, json::object({{"command", json::strings(message.command)},
                                          {"env", json::strings(message.env)},
                                          {"user", message.user},
                                          {"directory", message.directory},
                                          {"tty", message.tty},
                                          {"rows", static_cast<int>(message.window.rows)},
                                          {"cols", static_cast<int>(message.window.cols)}})
                                .dump());
}
std::string encode(const Input& message) {
  return frame(Type::input, message.bytes);
}
std::string encode(const EndInput&) {
  return frame(Type::end_input, {});
}
std::string encode(const Resize& message) {
  std::string payload;
  put(payload, message.window.rows);
  put(payload, message.window.cols);
  return frame(Type::resize, payload);
}
std::string encode(const Signal& message) {
  std::string payload;
  put(payload, message.number);
  return frame(Type::signal, payload);
}
std::string encode(const Started&) {
  return frame(Type::started, {});
}
std::string encode(const Output& message) {
  return frame(message.channel == Channel::out ? Type::out : Type::err, message.bytes);
}
std::string encode(const Exited& message) {
  std::string payload;
  put(payload, message.exit_code);
  put(payload, message.signal);
  return frame(Type::exited, payload);
}
std::string encode(const Failed& message) {
  return frame(
      Type::failed,
      json::object({{"error", message.sentence}, {"status", info(message.code).name}}).dump());
}

Result<std::optional<FrameBuffer::Frame>> FrameBuffer::next() {
  const std::string_view bytes = std::string_view(buffer_).substr(start_);
  const bool has_header = bytes.size() >= kHeader;
  const std::size_t length = has_header ? get<std::uint32_t>(bytes, 1) : 0;
  if (length > kMaxFrame)
    return fail(Code::data_loss, "exec stream: a frame of {} bytes is above {}", length, kMaxFrame);
  if (!has_header || bytes.size() < kHeader + length) {
    buffer_.erase(0, std::exchange(start_, 0));
    return std::optional<Frame>();
  }
  Frame frame{static_cast<std::uint8_t>(bytes[0]), std::string(bytes.substr(kHeader, length))};
  start_ += kHeader + length;
  return std::optional<Frame>(std::move(frame));
}

Result<std::optional<ClientMessage>> ClientDecoder::next() {
  return next_of<ClientMessage>(frames_, client_message);
}

Result<std::optional<ServerMessage>> ServerDecoder::next() {
  return next_of<ServerMessage>(frames_, server_message);
}

}  // namespace perigee::exec
