// The codec of exec's messages (docs/formats/guest-channel.md). What a user's program reads or is
// called with may be any bytes, the host's magic among them: Exec and ExecInput are stuffed, so
// that the byte that begins the magic never stands in them.
#include <utility>

#include "channel/codec.h"
#include "channel/limits.h"
#include "channel/wire.h"

namespace perigee::channel {
namespace {

enum class Type : std::uint8_t {
  kExec = 0x09,
  kExecInput = 0x0a,
  kExecResize = 0x0b,
  kExecSignal = 0x0c,
  kExecOutputCredit = 0x0d,
  kExecClose = 0x0e,
  kExecStarted = 0x87,
  kExecOutput = 0x88,
  kExecExited = 0x89,
  kExecInputCredit = 0x8a,
};

constexpr char kMark = '\xf5';    // the first byte of the host's magic
constexpr char kEscape = '\xf4';  // followed by 0 for itself, by 1 for kMark

std::string frame(Type type, std::string_view payload) {
  return encode_frame(static_cast<std::uint8_t>(type), payload);
}

template <typename... Fields>
std::string frame_of(Type type, Fields... fields) {
  std::string payload;
  (put(payload, fields), ...);
  return frame(type, payload);
}

std::string stuffed(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char byte : bytes) {
    if (byte == kMark || byte == kEscape) {
      out.push_back(kEscape);
      out.push_back(byte == kMark ? '\1' : '\0');
    } else {
      out.push_back(byte);
    }
  }
  return out;
}

Decoded<std::string> unstuffed(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != kEscape) {
      out.push_back(bytes[i]);
      continue;
    }
    if (++i == bytes.size() || (bytes[i] != '\0' && bytes[i] != '\1')) {
      return std::unexpected(DecodeError::kBadValue);
    }
    out.push_back(bytes[i] == '\1' ? kMark : kEscape);
  }
  return out;
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}
void put_list(std::string& out, const std::vector<std::string>& texts) {
  put(out, static_cast<std::uint32_t>(texts.size()));
  for (const std::string& text : texts) {
    put_text(out, text);
  }
}

std::string take_text(Reader& in) {
  return std::string(in.take(in.get<std::uint32_t>()));
}
Decoded<std::vector<std::string>> take_list(Reader& in) {
  const auto count = in.get<std::uint32_t>();
  if (count > kMaxItems) {
    return std::unexpected(DecodeError::kTooMany);
  }
  std::vector<std::string> texts;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    texts.push_back(take_text(in));
  }
  return texts;
}

Decoded<Exec> decode_exec(std::string_view payload) {
  const Decoded<std::string> plain = unstuffed(payload);
  if (!plain) {
    return std::unexpected(plain.error());
  }
  Reader in(*plain);
  Exec message;
  message.id = in.get<std::uint32_t>();
  message.tty = in.get<std::uint8_t>() != 0;
  message.rows = in.get<std::uint16_t>();
  message.cols = in.get<std::uint16_t>();
  message.user = take_text(in);
  message.workdir = take_text(in);
  Decoded<std::vector<std::string>> argv = take_list(in);
  Decoded<std::vector<std::string>> env = take_list(in);
  if (!argv || !env) {
    return std::unexpected(DecodeError::kTooMany);
  }
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  message.argv = std::move(*argv);
  message.env = std::move(*env);
  return message;
}

Decoded<ExecInput> decode_input(std::string_view payload) {
  Reader in(payload);
  ExecInput message;
  message.id = in.get<std::uint32_t>();
  message.eof = in.get<std::uint8_t>() != 0;
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  Decoded<std::string> bytes = unstuffed(in.take_rest());
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  message.bytes = std::move(*bytes);
  return message;
}

Decoded<ExecResize> decode_resize(std::string_view payload) {
  Reader in(payload);
  ExecResize message;
  message.id = in.get<std::uint32_t>();
  message.rows = in.get<std::uint16_t>();
  message.cols = in.get<std::uint16_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

// A message of an id and one number.
template <typename Message>
Decoded<Message> decode_pair(std::string_view payload) {
  Reader in(payload);
  const auto id = in.get<std::uint32_t>();
  const auto number = in.get<std::uint32_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return Message{id, number};
}

Decoded<ExecClose> decode_close(std::string_view payload) {
  Reader in(payload);
  const ExecClose message{in.get<std::uint32_t>()};
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

Decoded<ExecStarted> decode_started(std::string_view payload) {
  Reader in(payload);
  ExecStarted message;
  message.id = in.get<std::uint32_t>();
  message.pid = in.get<std::uint32_t>();
  message.message = std::string(in.take_rest().substr(0, kMaxMessage));
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

Decoded<ExecOutput> decode_exec_output(std::string_view payload) {
  Reader in(payload);
  ExecOutput message;
  message.id = in.get<std::uint32_t>();
  message.stream = static_cast<Stream>(in.get<std::uint8_t>());
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  if (message.stream != Stream::kStdout && message.stream != Stream::kStderr) {
    return std::unexpected(DecodeError::kBadValue);
  }
  message.bytes = std::string(in.take_rest());
  return message;
}

Decoded<ExecExited> decode_exec_exited(std::string_view payload) {
  Reader in(payload);
  ExecExited message;
  message.id = in.get<std::uint32_t>();
  message.exit_code = static_cast<std::int32_t>(in.get<std::uint32_t>());
  message.signal = in.get<std::uint32_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  if (message.exit_code < 0 || message.exit_code > 255 || message.signal > 64) {
    return std::unexpected(DecodeError::kBadValue);
  }
  return message;
}

}  // namespace

std::string encode(const Exec& message) {
  std::string payload;
  put(payload, message.id);
  put(payload, static_cast<std::uint8_t>(message.tty ? 1 : 0));
  put(payload, message.rows);
  put(payload, message.cols);
  put_text(payload, message.user);
  put_text(payload, message.workdir);
  put_list(payload, message.argv);
  put_list(payload, message.env);
  return frame(Type::kExec, stuffed(payload));
}
std::string encode(const ExecInput& message) {
  std::string payload;
  put(payload, message.id);
  put(payload, static_cast<std::uint8_t>(message.eof ? 1 : 0));
  return frame(Type::kExecInput, payload + stuffed(message.bytes));
}
// A zero ends it: no payload may end as the magic begins.
std::string encode(const ExecResize& message) {
  return frame_of(Type::kExecResize, message.id, message.rows, message.cols, std::uint8_t{0});
}
std::string encode(const ExecSignal& message) {
  return frame_of(Type::kExecSignal, message.id, message.signo);
}
std::string encode(const ExecOutputCredit& message) {
  return frame_of(Type::kExecOutputCredit, message.id, message.bytes);
}
std::string encode(const ExecClose& message) {
  return frame_of(Type::kExecClose, message.id);
}
std::string encode(const ExecStarted& message) {
  std::string payload;
  put(payload, message.id);
  put(payload, message.pid);
  return frame(Type::kExecStarted, payload.append(message.message, 0, kMaxMessage));
}
std::string encode(const ExecOutput& message) {
  std::string payload;
  payload.reserve(5 + message.bytes.size());
  put(payload, message.id);
  put(payload, static_cast<std::uint8_t>(message.stream));
  return frame(Type::kExecOutput, payload.append(message.bytes));
}
std::string encode(const ExecExited& message) {
  return frame_of(Type::kExecExited, message.id, static_cast<std::uint32_t>(message.exit_code),
                  message.signal);
}
std::string encode(const ExecInputCredit& message) {
  return frame_of(Type::kExecInputCredit, message.id, message.bytes);
}

Decoded<std::optional<HostMessage>> decode_exec_host_frame(const Frame& frame) {
  switch (static_cast<Type>(frame.type)) {
    case Type::kExec:
      return any<HostMessage>(decode_exec(frame.payload));
    case Type::kExecInput:
      return any<HostMessage>(decode_input(frame.payload));
    case Type::kExecResize:
      return any<HostMessage>(decode_resize(frame.payload));
    case Type::kExecSignal:
      return any<HostMessage>(decode_pair<ExecSignal>(frame.payload));
    case Type::kExecOutputCredit:
      return any<HostMessage>(decode_pair<ExecOutputCredit>(frame.payload));
    case Type::kExecClose:
      return any<HostMessage>(decode_close(frame.payload));
    default:
      return std::optional<HostMessage>{};
  }
}

Decoded<std::optional<GuestMessage>> decode_exec_guest_frame(const Frame& frame) {
  switch (static_cast<Type>(frame.type)) {
    case Type::kExecStarted:
      return any<GuestMessage>(decode_started(frame.payload));
    case Type::kExecOutput:
      return any<GuestMessage>(decode_exec_output(frame.payload));
    case Type::kExecExited:
      return any<GuestMessage>(decode_exec_exited(frame.payload));
    case Type::kExecInputCredit:
      return any<GuestMessage>(decode_pair<ExecInputCredit>(frame.payload));
    default:
      return std::optional<GuestMessage>{};
  }
}

}  // namespace perigee::channel
