#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "channel/codec.h"
#include "channel/decoder.h"
#include "channel/limits.h"
#include "channel/wire.h"

namespace perigee::channel {
namespace {

Configure full_configure() {
  Configure message;
  message.argv = {"/bin/app", "", "--flag=a b"};
  message.env = {"KEY=value", "EMPTY="};
  message.user = "www-data:adm";
  message.workdir = "/srv";
  message.hostname = "m1";
  message.addresses = {"10.0.0.2/32", "fdaa::2/128"};
  message.gateways = {"10.0.0.1"};
  message.nameservers = {"10.0.0.53"};
  message.hosts = {"10.0.0.2 m1 m1.internal"};
  message.layers = 3;
  message.upper_disk = 5;
  message.mtu = 1420;
  message.volumes = {{.disk = 6, .path = "/var/lib/data"},
                     {.disk = 7, .path = "/srv", .key = std::string(kVolumeKeyBytes, '\xa5')}};
  message.gateway_mac = "06:70:67:00:00:01";
  return message;
}

std::vector<HostMessage> every_host_message() {
  return {Attach{7, 1, 42},
          full_configure(),
          Configure{},
          Signal{15},
          Shutdown{},
          Ack{99},
          Time{-5},
          Time{1700000000},
          Ping{3},
          Exec{1, {"sh", "-c", "\xf4\xf5"}, {"TERM=xterm"}, "web", "/srv", true, 24, 80},
          Exec{2, {"true"}, {}, "", "", false, 0, 0},
          ExecInput{1, false, std::string(kHostMagic) + "\xf4"},
          ExecInput{1, true, ""},
          ExecResize{1, 0xf5f5, 0xf5f5},
          ExecSignal{1, 2},
          ExecOutputCredit{1, 4096},
          ExecClose{1},
          Inquire{Topic::kListening},
          Inquire{Topic::kProcesses}};
}
Stats full_stats() {
  Stats stats;
  stats.load_centi = {150, 20, 3};
  stats.memory.fill(1 << 20);
  stats.files_open = 64;
  stats.files_limit = INT64_MAX;
  stats.cpus = {{"0", {1, 2, 3, 4, 5, 6, 7, 8}}};
  stats.disks = {{"vda", {1}}, {"vdb", {}}};
  stats.networks = {{"eth0", {1000, 10}}};
  stats.filesystems = {{"/", {4096, 100, 50, 40}}};
  return stats;
}

Processes some_processes() {
  Process app;
  app.pid = 400;
  app.started_unix_s = 1'790'000'000;
  app.age_ms = 5000;
  app.cpu_ms = 1200;
  app.rss_bytes = 1 << 20;
  app.command = "httpd -f";
  app.directory = "/srv";
  app.sockets = {{Transport::kTcp, std::string(4, '\0'), 8080},
                 {Transport::kUdp, std::string(16, '\0'), 53}};
  Process init;
  init.pid = 1;
  init.command = "/init";
  return {{init, app}};
}

std::vector<GuestMessage> every_guest_message() {
  return {
      Hello{1, GuestState::kRunning, 12, 34},
      Started{77},
      Output{Stream::kStderr, 5, std::string("a\0b\n", 4)},
      Output{Stream::kStdout, 6, {}},
      Exited{8, 137, 9, true},
      Failed{9, "command \"x\": not found"},
      Pong{3},
      ExecStarted{1, 300, ""},
      ExecStarted{2, 0, "command \"x\": not found"},
      ExecOutput{1, Stream::kStderr, std::string("a\0b", 3)},
      ExecExited{1, 130, 2},
      ExecInputCredit{1, 512},
      some_processes(),
      Listening{},
      Listening{{{std::string("\x7f\0\0\1", 4), 3000, "node"}, {std::string(16, '\0'), 80, ""}}}};
}

template <typename Message>
std::string bytes_of(const Message& message) {
  return std::visit([](const auto& value) { return encode(value); }, message);
}

std::vector<HostMessage> drain(GuestDecoder& decoder) {
  std::vector<HostMessage> messages;
  while (auto message = decoder.next()) {
    messages.push_back(*message);
  }
  return messages;
}

std::vector<GuestMessage> drain(HostDecoder& decoder) {
  std::vector<GuestMessage> messages;
  while (true) {
    auto message = decoder.next();
    REQUIRE(message.has_value());
    if (!*message) {
      return messages;
    }
    messages.push_back(**message);
  }
}

TEST_CASE("every message arrives as it was sent, whatever the pieces") {
  std::string to_guest;
  for (const HostMessage& message : every_host_message()) {
    to_guest += bytes_of(message);
  }
  std::string to_host = "old bytes" + guest_preamble(7);
  for (const GuestMessage& message : every_guest_message()) {
    to_host += bytes_of(message);
  }
  for (std::size_t piece = 1; piece < 40; ++piece) {
    GuestDecoder guest;
    HostDecoder host(7);
    std::vector<HostMessage> host_messages;
    std::vector<GuestMessage> guest_messages;
    for (std::size_t at = 0; at < to_guest.size(); at += piece) {
      guest.feed(std::string_view(to_guest).substr(at, piece));
      for (auto& message : drain(guest)) host_messages.push_back(message);
    }
    for (std::size_t at = 0; at < to_host.size(); at += piece) {
      host.feed(std::string_view(to_host).substr(at, piece));
      for (auto& message : drain(host)) guest_messages.push_back(message);
    }
    CHECK(host_messages == every_host_message());
    CHECK(guest_messages == every_guest_message());
  }
}

TEST_CASE("the guest sees a new host behind any cut of the old one's stream") {
  const std::string old = encode(Attach{1}) + encode(full_configure()) + encode(Signal{1});
  for (std::size_t cut = 0; cut <= old.size(); ++cut) {
    GuestDecoder guest;
    std::string stream = old.substr(0, cut) + encode(Attach{2, 1, 5}) + encode(Signal{15});
    std::vector<HostMessage> messages;
    for (const char byte : stream) {
      guest.feed(std::string_view(&byte, 1));
      for (auto& message : drain(guest)) messages.push_back(message);
    }
    REQUIRE(messages.size() >= 2);
    CHECK(messages.at(messages.size() - 2) == HostMessage(Attach{2, 1, 5}));
    CHECK(messages.back() == HostMessage(Signal{15}));
  }
}

TEST_CASE("a cut frame never swallows the first bytes of the next preamble") {
  // The header promises 4 bytes; the new host's preamble comes in two pieces.
  GuestDecoder guest;
  guest.feed(encode(Attach{1}));
  CHECK(drain(guest).size() == 1);
  guest.feed(encode(Signal{15}).substr(0, kFrameHeader) + std::string(kHostMagic.substr(0, 4)));
  CHECK(drain(guest).empty());
  guest.feed(encode(Attach{2}).substr(4));
  CHECK(drain(guest) == std::vector<HostMessage>{Attach{2}});
}

TEST_CASE("no message of the host is held back at its end") {
  for (const HostMessage& message : every_host_message()) {
    CHECK(bytes_of(message).back() != kHostMagic.front());
  }
}

TEST_CASE("after detach the guest waits for a preamble") {
  GuestDecoder guest;
  guest.feed(encode(Attach{1}) + encode(Signal{15}).substr(0, 7));
  CHECK(drain(guest).size() == 1);
  guest.detach();
  guest.feed(encode(Signal{9}));
  CHECK(drain(guest).empty());
  guest.feed(encode(Attach{2}) + encode(Signal{9}));
  CHECK(drain(guest).size() == 2);
}

TEST_CASE("a guest skips a frame that is too long or not for it until the next preamble") {
  std::string too_long;
  put(too_long, std::uint32_t{kMaxFrame + 1});
  const std::vector<std::string> broken = {too_long + "\x03", encode(Hello{}),
                                           std::string("\x01\0\0\0\x03x", 6).substr(0, 5) + "x",
                                           encode_frame(0x03, "ab")};
  for (const std::string& bytes : broken) {
    GuestDecoder guest;
    guest.feed(encode(Attach{1}) + bytes + encode(Attach{2}) + encode(Shutdown{}));
    const auto messages = drain(guest);
    CHECK(messages.back() == HostMessage(Shutdown{}));
  }
}

TEST_CASE("a host skips a preamble of another connection") {
  HostDecoder host(2);
  host.feed(guest_preamble(1) + encode(Started{1}) + guest_preamble(2) + encode(Started{2}));
  CHECK(drain(host) == std::vector<GuestMessage>{Started{2}});
}

TEST_CASE("the host refuses what breaks the format") {
  struct Row {
    std::string frame;
    DecodeError error;
  };
  std::string too_long;
  put(too_long, std::uint32_t{kMaxFrame + 1});
  const std::string bad_output = encode_frame(0x83, std::string("\x05", 1) + std::string(8, '\0'));
  const std::vector<Row> rows = {
      {too_long + "\x82", DecodeError::kFrameTooBig},
      {encode_frame(0x82, "ab"), DecodeError::kTruncated},
      {encode_frame(0x81, std::string("\1\0\7", 3) + std::string(12, '\0')),
       DecodeError::kBadValue},
      {bad_output, DecodeError::kBadValue},
      {encode(Exited{1, 4000, 0, false}), DecodeError::kBadValue},
      {encode(Signal{1}), DecodeError::kUnexpected},
  };
  for (const Row& row : rows) {
    HostDecoder host(1);
    host.feed(guest_preamble(1) + row.frame);
    const auto message = host.next();
    REQUIRE_FALSE(message.has_value());
    CHECK(message.error() == row.error);
  }
}

TEST_CASE("types and trailing fields of a newer peer are skipped") {
  HostDecoder host(1);
  std::string longer = encode(Started{9}).substr(kFrameHeader) + "more";
  host.feed(guest_preamble(1) + encode_frame(0xF0, "new") + encode_frame(0x82, longer));
  CHECK(drain(host) == std::vector<GuestMessage>{Started{9}});
}

TEST_CASE("what a user's program reads may hold the host's magic and cuts no stream") {
  const std::string magic = std::string(kHostMagic) + kHostMagic.front();
  for (const HostMessage& message : {HostMessage(ExecInput{7, false, magic}),
                                     HostMessage(Exec{7, {magic}, {}, "", "", false, 0, 0})}) {
    const std::string bytes = bytes_of(message);
    CHECK(bytes.find(kHostMagic.front()) == std::string::npos);
    GuestDecoder guest;
    guest.feed(encode(Attach{1}) + bytes);
    CHECK(drain(guest).back() == message);
  }
}

TEST_CASE("exec messages that are cut, too long or badly stuffed are refused") {
  const auto refused = [](std::uint8_t type, std::string_view payload) {
    const auto message = decode_host_frame({type, std::string(payload)});
    return message.has_value() ? std::optional<DecodeError>() : message.error();
  };
  CHECK(refused(0x09, std::string_view("\1\0\0\0\0", 5)) == DecodeError::kTruncated);
  CHECK(refused(0x0a, std::string_view("\1\0\0\0", 4)) == DecodeError::kTruncated);
  CHECK(refused(0x0a, std::string_view("\1\0\0\0\0a\xf4", 7)) == DecodeError::kBadValue);
  CHECK(refused(0x0a, std::string_view("\1\0\0\0\0a\xf4\2", 8)) == DecodeError::kBadValue);
  std::string many(4 + 1 + 2 + 2 + 4 + 4, '\0');
  put(many, std::uint32_t{kMaxItems + 1});
  CHECK(refused(0x09, many) == DecodeError::kTooMany);
  const auto exited = decode_guest_frame({0x89, std::string("\1\0\0\0\xff\xff\0\0\0\0\0\0", 12)});
  CHECK(exited.error() == DecodeError::kBadValue);
}

TEST_CASE("Configure skips unknown tags and refuses what is cut or too much") {
  std::string payload = encode(full_configure()).substr(kFrameHeader);
  const std::string unknown("\x99\x09\x03\0\0\0abc", 9);
  CHECK(decode_configure(unknown + payload) == full_configure());
  for (std::size_t cut = 0; cut < payload.size(); ++cut) {
    CHECK_FALSE(decode_configure(payload.substr(0, cut)).has_value());
  }
  Configure many;
  many.layers = kMaxLayers + 1;
  CHECK(decode_configure(encode(many).substr(kFrameHeader)).error() == DecodeError::kTooMany);
  many.layers = 1;
  many.argv.assign(kMaxItems + 1, "x");
  CHECK(decode_configure(encode(many).substr(kFrameHeader)).error() == DecodeError::kTooMany);
  many.argv.clear();
  many.volumes.assign(kMaxVolumes + 1, {.disk = 1, .path = "/v"});
  CHECK(decode_configure(encode(many).substr(kFrameHeader)).error() == DecodeError::kTooMany);
  const std::string short_volume("\x14\0\x03\0\0\0abc", 9);
  CHECK(decode_configure(short_volume + payload).error() == DecodeError::kTruncated);
  const std::string short_key("\x15\0\x07\0\0\0\x06\0\0\0key", 13);
  CHECK(decode_configure(short_key + payload).error() == DecodeError::kTruncated);
  const std::string key_record =
      std::string("\x15\0\x44\0\0\0\x06\0\0\0", 10) + std::string(kVolumeKeyBytes, 'k');
  CHECK(decode_configure(key_record + payload).error() == DecodeError::kBadValue);  // of no volume
}

TEST_CASE("a message above the frame limit is not encoded") {
  Configure huge;
  huge.env = {std::string(kMaxFrame, 'x')};
  CHECK(encode(huge).empty());
  CHECK(encode(Output{Stream::kStdout, 1, std::string(kMaxFrame, 'x')}).empty());
}

std::string listening_payload(const ListeningSocket& socket) {
  return encode(Listening{{socket}}).substr(kFrameHeader);
}

TEST_CASE("a guest's report of its sockets is taken only within its bounds") {
  const std::string address(4, '\1');
  CHECK(decode_listening(listening_payload({address, 80, "app"})).has_value());
  CHECK(decode_listening(listening_payload({"12345", 80, "app"})).error() ==
        DecodeError::kBadValue);
  CHECK(decode_listening(listening_payload({address, 0, "app"})).error() == DecodeError::kBadValue);
  std::string named(listening_payload({address, 80, ""}));
  named.back() = 16;
  CHECK(decode_listening(named + std::string(16, 'x')).error() == DecodeError::kBadValue);
  CHECK(decode_listening(named + "short").error() == DecodeError::kTruncated);
  std::string many;
  put(many, static_cast<std::uint16_t>(kMaxListening + 1));
  CHECK(decode_listening(many).error() == DecodeError::kTooMany);
  CHECK(decode_listening("").error() == DecodeError::kTruncated);
}

TEST_CASE("a guest's statistics are taken only within their bounds") {
  const std::string whole = encode(full_stats()).substr(kFrameHeader);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decode_stats(std::string_view(whole).substr(0, size)).has_value());
  }
  std::string many = encode(Stats{}).substr(kFrameHeader);
  many[many.size() - 2] = static_cast<char>(kMaxStatsRows + 1);  // of its file systems
  CHECK(decode_stats(many).error() == DecodeError::kTooMany);
  Stats large;
  large.disks.assign(kMaxStatsRows + 5, {std::string(1000, 'd'), {}});
  const auto taken = decode_stats(encode(large).substr(kFrameHeader));
  REQUIRE(taken.has_value());
  CHECK(taken->disks.size() == kMaxStatsRows);
  CHECK(taken->disks[0].name.size() == kMaxStatsName);
}

TEST_CASE("a guest's processes are taken only within their bounds") {
  const std::string whole = encode(some_processes()).substr(kFrameHeader);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decode_processes(std::string_view(whole).substr(0, size)).has_value());
  }
  std::string many;
  put(many, static_cast<std::uint16_t>(kMaxProcesses + 1));
  CHECK(decode_processes(many).error() == DecodeError::kTooMany);
  std::string strange = whole;
  strange[strange.size() - 20] = 1;  // the transport of the last socket
  CHECK(decode_processes(strange).error() == DecodeError::kBadValue);
}

TEST_CASE("no more of processes is sent than the host takes") {
  Process large;
  large.command = std::string(500, 'c');
  large.directory = std::string(500, 'd');
  large.sockets.assign(kMaxProcessSockets - 1, {Transport::kTcp, std::string(4, '\1'), 80});
  Processes message;
  message.processes.assign(kMaxProcesses + 5, large);
  const auto taken = decode_processes(encode(message).substr(kFrameHeader));
  REQUIRE(taken.has_value());
  CHECK(taken->processes.size() == kMaxProcesses);
  CHECK(taken->processes[0].command.size() == kMaxProcessCommand);
  CHECK(taken->processes[0].directory.size() == kMaxProcessDirectory);
  CHECK(taken->processes[1].sockets.size() == 1);
  CHECK(taken->processes[2].sockets.empty());
}

TEST_CASE("no more sockets are sent than the host takes") {
  Listening message;
  message.sockets.assign(kMaxListening + 5, {std::string(4, '\1'), 80, "an overlong process name"});
  const auto taken = decode_listening(encode(message).substr(kFrameHeader));
  REQUIRE(taken.has_value());
  CHECK(taken->sockets.size() == kMaxListening);
  CHECK(taken->sockets.front().process == "an overlong pro");
}

}  // namespace
}  // namespace perigee::channel
