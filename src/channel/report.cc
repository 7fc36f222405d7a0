// The codec of what a guest reports when it is asked. A count, then as many entries; the guest may
// lie, so every count and length has a bound of limits.h.
#include <algorithm>
#include <utility>
#include <vector>

#include "channel/codec.h"
#include "channel/limits.h"
#include "channel/wire.h"

namespace perigee::channel {
namespace {

constexpr std::uint8_t kIpv4 = 4;  // the family's bytes on the wire
constexpr std::uint8_t kIpv6 = 16;

// A length in one byte, then the bytes.
void put_short(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint8_t>(text.size()));
  out.append(text);
}

std::string get_short(Reader& in) {
  const auto size = in.get<std::uint8_t>();
  return std::string(in.take(size));
}

template <typename Numbers>
void put_all(std::string& out, const Numbers& numbers) {
  for (const auto number : numbers) {
    put(out, number);
  }
}

template <typename Numbers>
void get_all(Reader& in, Numbers& numbers) {
  for (auto& number : numbers) {
    number = in.get<typename Numbers::value_type>();
  }
}

bool is_address(std::string_view bytes) {
  return bytes.size() == kIpv4 || bytes.size() == kIpv6;
}

Decoded<ListeningSocket> decode_socket(Reader& in) {
  ListeningSocket socket;
  socket.address = get_short(in);
  socket.port = in.get<std::uint16_t>();
  socket.process = get_short(in);
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  if (!is_address(socket.address) || socket.port == 0 || socket.process.size() > kMaxProcessName) {
    return std::unexpected(DecodeError::kBadValue);
  }
  return socket;
}

void put_process(std::string& out, const Process& process, std::size_t& sockets_left) {
  put(out, process.pid);
  put(out, process.started_unix_s);
  put(out, process.age_ms);
  put(out, process.cpu_ms);
  put(out, process.rss_bytes);
  put_short(out, std::string_view(process.command).substr(0, kMaxProcessCommand));
  put_short(out, std::string_view(process.directory).substr(0, kMaxProcessDirectory));
  const std::size_t count = std::min(process.sockets.size(), sockets_left);
  sockets_left -= count;
  put(out, static_cast<std::uint8_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    put(out, static_cast<std::uint8_t>(process.sockets[i].transport));
    put_short(out, process.sockets[i].address);
    put(out, process.sockets[i].port);
  }
}

Decoded<ProcessSocket> decode_process_socket(Reader& in) {
  ProcessSocket socket;
  socket.transport = static_cast<Transport>(in.get<std::uint8_t>());
  socket.address = get_short(in);
  socket.port = in.get<std::uint16_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  const bool known = socket.transport == Transport::kTcp || socket.transport == Transport::kUdp;
  if (!known || !is_address(socket.address) || socket.port == 0) {
    return std::unexpected(DecodeError::kBadValue);
  }
  return socket;
}

Decoded<Process> decode_process(Reader& in, std::size_t& sockets_left) {
  Process process;
  process.pid = in.get<std::uint32_t>();
  process.started_unix_s = in.get<std::uint64_t>();
  process.age_ms = in.get<std::uint64_t>();
  process.cpu_ms = in.get<std::uint64_t>();
  process.rss_bytes = in.get<std::uint64_t>();
  process.command = get_short(in);
  process.directory = get_short(in);
  const std::size_t count = in.get<std::uint8_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  if (process.command.size() > kMaxProcessCommand ||
      process.directory.size() > kMaxProcessDirectory) {
    return std::unexpected(DecodeError::kBadValue);
  }
  if (count > sockets_left) {
    return std::unexpected(DecodeError::kTooMany);
  }
  sockets_left -= count;
  for (std::size_t i = 0; i < count; ++i) {
    Decoded<ProcessSocket> socket = decode_process_socket(in);
    if (!socket) {
      return std::unexpected(socket.error());
    }
    process.sockets.push_back(std::move(*socket));
  }
  return process;
}

template <typename Rows>
void put_rows(std::string& out, const Rows& rows) {
  const std::size_t count = std::min(rows.size(), kMaxStatsRows);
  put(out, static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    put_short(out, std::string_view(rows[i].name).substr(0, kMaxStatsName));
    put_all(out, rows[i].values);
  }
}

// False: more rows than allowed.
template <typename Row>
bool get_rows(Reader& in, std::vector<Row>& rows) {
  const auto count = in.get<std::uint16_t>();
  if (count > kMaxStatsRows) {
    return false;
  }
  for (std::uint16_t i = 0; i < count && in.ok(); ++i) {
    Row row;
    row.name = get_short(in);
    get_all(in, row.values);
    rows.push_back(std::move(row));
  }
  return true;
}

}  // namespace

std::string encode(const Listening& message) {
  const std::size_t count = std::min(message.sockets.size(), kMaxListening);
  std::string payload;
  put(payload, static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const ListeningSocket& socket = message.sockets[i];
    put_short(payload, socket.address);
    put(payload, socket.port);
    put_short(payload, std::string_view(socket.process).substr(0, kMaxProcessName));
  }
  return encode_frame(kListeningType, payload);
}

Decoded<Listening> decode_listening(std::string_view payload) {
  Reader in(payload);
  const auto count = in.get<std::uint16_t>();
  if (count > kMaxListening) {
    return std::unexpected(DecodeError::kTooMany);
  }
  Listening message;
  for (std::uint16_t i = 0; i < count; ++i) {
    Decoded<ListeningSocket> socket = decode_socket(in);
    if (!socket) {
      return std::unexpected(socket.error());
    }
    message.sockets.push_back(std::move(*socket));
  }
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

std::string encode(const Stats& message) {
  std::string payload;
  put_all(payload, message.load_centi);
  put_all(payload, message.memory);
  put(payload, message.files_open);
  put(payload, message.files_limit);
  put_rows(payload, message.cpus);
  put_rows(payload, message.disks);
  put_rows(payload, message.networks);
  put_rows(payload, message.filesystems);
  return encode_frame(kStatsType, payload);
}

Decoded<Stats> decode_stats(std::string_view payload) {
  Reader in(payload);
  Stats message;
  get_all(in, message.load_centi);
  get_all(in, message.memory);
  message.files_open = in.get<std::uint64_t>();
  message.files_limit = in.get<std::uint64_t>();
  const bool bounded = get_rows(in, message.cpus) && get_rows(in, message.disks) &&
                       get_rows(in, message.networks) && get_rows(in, message.filesystems);
  if (!bounded) {
    return std::unexpected(DecodeError::kTooMany);
  }
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

std::string encode(const Processes& message) {
  const std::size_t count = std::min(message.processes.size(), kMaxProcesses);
  std::size_t sockets_left = kMaxProcessSockets;
  std::string payload;
  put(payload, static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    put_process(payload, message.processes[i], sockets_left);
  }
  return encode_frame(kProcessesType, payload);
}

Decoded<Processes> decode_processes(std::string_view payload) {
  Reader in(payload);
  const auto count = in.get<std::uint16_t>();
  if (count > kMaxProcesses) {
    return std::unexpected(DecodeError::kTooMany);
  }
  Processes message;
  std::size_t sockets_left = kMaxProcessSockets;
  for (std::uint16_t i = 0; i < count; ++i) {
    Decoded<Process> process = decode_process(in, sockets_left);
    if (!process) {
      return std::unexpected(process.error());
    }
    message.processes.push_back(std::move(*process));
  }
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

}  // namespace perigee::channel
