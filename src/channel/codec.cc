// The codec of each message. A payload may be longer than its fields: a newer peer's additions are
// skipped. A shorter one is an error.
#include "channel/codec.h"

#include <utility>

#include "channel/limits.h"
#include "channel/wire.h"

namespace perigee::channel {
namespace {

enum class Type : std::uint8_t {
  kAttach = 0x01,
  kConfigure = kConfigureType,
  kSignal = 0x03,
  kShutdown = 0x04,
  kAck = 0x05,
  kTime = 0x06,
  kPing = 0x07,
  kResumed = 0x08,
  kInquire = 0x10,
  kHello = 0x81,
  kStarted = 0x82,
  kOutput = 0x83,
  kExited = 0x84,
  kFailed = 0x85,
  kPong = 0x86,
  kListening = kListeningType,
  kStats = kStatsType,
  kProcesses = kProcessesType,
};
constexpr std::uint8_t kFromGuest = 0x80;

std::string frame(Type type, std::string_view payload) {
  return encode_frame(static_cast<std::uint8_t>(type), payload);
}

template <typename... Fields>
std::string frame_of(Type type, Fields... fields) {
  std::string payload;
  (put(payload, fields), ...);
  return frame(type, payload);
}

// A message whose payload is one number.
template <typename Message, typename Number>
Decoded<Message> number(std::string_view payload) {
  Reader in(payload);
  const Number value = in.get<Number>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return Message{value};
}

Decoded<Attach> decode_attach(std::string_view payload) {
  Reader in(payload);
  Attach message;
  message.version = in.get<std::uint16_t>();
  message.received = in.get<std::uint64_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

Decoded<Time> decode_time(std::string_view payload) {
  Reader in(payload);
  const auto unix_ns = in.get<std::uint64_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return Time{static_cast<std::int64_t>(unix_ns)};
}

Decoded<Resumed> decode_resumed(std::string_view payload) {
  Reader in(payload);
  Resumed message;
  message.unix_ns = static_cast<std::int64_t>(in.get<std::uint64_t>());
  message.entropy = std::string(in.take(kEntropyBytes));
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

Decoded<Inquire> decode_inquire(std::string_view payload) {
  Reader in(payload);
  const auto topic = static_cast<Topic>(in.get<std::uint8_t>());
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  if (topic != Topic::kListening && topic != Topic::kStats && topic != Topic::kProcesses) {
    return std::unexpected(DecodeError::kBadValue);
  }
  return Inquire{topic};
}

Decoded<Failed> decode_failed(std::string_view payload) {
  Reader in(payload);
  Failed message;
  message.sequence = in.get<std::uint64_t>();
  message.message = std::string(in.take_rest().substr(0, kMaxMessage));
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

}  // namespace

std::string encode_frame(std::uint8_t type, std::string_view payload) {
  std::string out;
  if (payload.size() > kMaxFrame) {
    return out;
  }
  out.reserve(kFrameHeader + payload.size());
  put(out, static_cast<std::uint32_t>(payload.size()));
  put(out, type);
  return out.append(payload);
}

std::string_view to_string(DecodeError error) {
  switch (error) {
    case DecodeError::kTruncated:
      return "the payload ends inside a field";
    case DecodeError::kFrameTooBig:
      return "a frame is longer than the limit";
    case DecodeError::kTooMany:
      return "a field repeats more often than the limit";
    case DecodeError::kBadValue:
      return "a field has an unknown value";
    case DecodeError::kUnexpected:
      return "the message is not for this side";
  }
  return "unknown error";
}

std::string encode(const Attach& message) {
  std::string out(kHostMagic);
  put(out, message.nonce);
  return out + frame_of(Type::kAttach, message.version, message.received);
}
std::string encode(const Signal& message) {
  return frame_of(Type::kSignal, message.signo);
}
std::string encode(const Shutdown&) {
  return frame(Type::kShutdown, {});
}
std::string encode(const Ack& message) {
  return frame_of(Type::kAck, message.sequence);
}
std::string encode(const Time& message) {
  return frame_of(Type::kTime, static_cast<std::uint64_t>(message.unix_ns));
}
std::string encode(const Ping& message) {
  return frame_of(Type::kPing, message.token);
}
// A zero ends it: the last random byte must not look like the beginning of the host's magic.
std::string encode(const Resumed& message) {
  std::string payload;
  put(payload, static_cast<std::uint64_t>(message.unix_ns));
  payload.append(message.entropy, 0, kEntropyBytes).resize(8 + kEntropyBytes);
  put(payload, std::uint8_t{0});
  return frame(Type::kResumed, payload);
}
std::string encode(const Inquire& message) {
  return frame_of(Type::kInquire, static_cast<std::uint8_t>(message.topic));
}

std::string encode(const Hello& message) {
  return frame_of(Type::kHello, message.version, static_cast<std::uint8_t>(message.state),
                  message.pid, message.dropped_bytes);
}
std::string encode(const Started& message) {
  return frame_of(Type::kStarted, message.pid);
}
std::string encode(const Output& message) {
  std::string payload;
  payload.reserve(9 + message.bytes.size());
  put(payload, static_cast<std::uint8_t>(message.stream));
  put(payload, message.sequence);
  return frame(Type::kOutput, payload.append(message.bytes));
}
std::string encode(const Exited& message) {
  return frame_of(Type::kExited, message.sequence, static_cast<std::uint32_t>(message.exit_code),
                  message.signal, static_cast<std::uint8_t>(message.oom_killed ? 1 : 0));
}
std::string encode(const Failed& message) {
  std::string payload;
  put(payload, message.sequence);
  return frame(Type::kFailed, payload.append(message.message, 0, kMaxMessage));
}
std::string encode(const Pong& message) {
  return frame_of(Type::kPong, message.token);
}

std::string guest_preamble(std::uint64_t nonce) {
  std::string out(kGuestMagic);
  put(out, nonce);
  return out;
}

Decoded<Hello> decode_hello(std::string_view payload) {
  Reader in(payload);
  Hello message;
  message.version = in.get<std::uint16_t>();
  const auto state = in.get<std::uint8_t>();
  message.pid = in.get<std::uint32_t>();
  message.dropped_bytes = in.get<std::uint64_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  if (state > static_cast<std::uint8_t>(GuestState::kFailed)) {
    return std::unexpected(DecodeError::kBadValue);
  }
  message.state = static_cast<GuestState>(state);
  return message;
}

Decoded<Output> decode_output(std::string_view payload) {
  Reader in(payload);
  Output message;
  const auto stream = in.get<std::uint8_t>();
  message.sequence = in.get<std::uint64_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  message.stream = static_cast<Stream>(stream);
  if (message.stream != Stream::kStdout && message.stream != Stream::kStderr) {
    return std::unexpected(DecodeError::kBadValue);
  }
  message.bytes = std::string(in.take_rest());
  return message;
}

Decoded<Exited> decode_exited(std::string_view payload) {
  Reader in(payload);
  Exited message;
  message.sequence = in.get<std::uint64_t>();
  message.exit_code = static_cast<std::int32_t>(in.get<std::uint32_t>());
  message.signal = in.get<std::uint32_t>();
  const auto oom_killed = in.get<std::uint8_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  if (message.exit_code < 0 || message.exit_code > 255 || message.signal > 64 || oom_killed > 1) {
    return std::unexpected(DecodeError::kBadValue);
  }
  message.oom_killed = oom_killed == 1;
  return message;
}

Decoded<std::optional<HostMessage>> decode_host_frame(const Frame& frame) {
  if ((frame.type & kFromGuest) != 0) {
    return std::unexpected(DecodeError::kUnexpected);
  }
  switch (static_cast<Type>(frame.type)) {
    case Type::kAttach:
      return any<HostMessage>(decode_attach(frame.payload));
    case Type::kConfigure:
      return any<HostMessage>(decode_configure(frame.payload));
    case Type::kSignal:
      return any<HostMessage>(number<Signal, std::uint32_t>(frame.payload));
    case Type::kShutdown:
      return HostMessage(Shutdown{});
    case Type::kAck:
      return any<HostMessage>(number<Ack, std::uint64_t>(frame.payload));
    case Type::kTime:
      return any<HostMessage>(decode_time(frame.payload));
    case Type::kPing:
      return any<HostMessage>(number<Ping, std::uint64_t>(frame.payload));
    case Type::kResumed:
      return any<HostMessage>(decode_resumed(frame.payload));
    case Type::kInquire:
      return any<HostMessage>(decode_inquire(frame.payload));
    default:
      return decode_exec_host_frame(frame);
  }
}

Decoded<std::optional<GuestMessage>> decode_guest_frame(const Frame& frame) {
  if ((frame.type & kFromGuest) == 0) {
    return std::unexpected(DecodeError::kUnexpected);
  }
  switch (static_cast<Type>(frame.type)) {
    case Type::kHello:
      return any<GuestMessage>(decode_hello(frame.payload));
    case Type::kStarted:
      return any<GuestMessage>(number<Started, std::uint32_t>(frame.payload));
    case Type::kOutput:
      return any<GuestMessage>(decode_output(frame.payload));
    case Type::kExited:
      return any<GuestMessage>(decode_exited(frame.payload));
    case Type::kFailed:
      return any<GuestMessage>(decode_failed(frame.payload));
    case Type::kPong:
      return any<GuestMessage>(number<Pong, std::uint64_t>(frame.payload));
    case Type::kListening:
      return any<GuestMessage>(decode_listening(frame.payload));
    case Type::kStats:
      return any<GuestMessage>(decode_stats(frame.payload));
    case Type::kProcesses:
      return any<GuestMessage>(decode_processes(frame.payload));
    default:
      return decode_exec_guest_frame(frame);
  }
}

}  // namespace perigee::channel
