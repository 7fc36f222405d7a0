// Messages to frames and back: u32 LE payload length, u8 type, payload (docs/formats/
// guest-channel.md). Pure functions; decoder.h cuts a byte stream into the frames they take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "channel/types.h"

namespace perigee::channel {

inline constexpr std::size_t kFrameHeader = 5;
inline constexpr std::uint8_t kConfigureType = 0x02;
inline constexpr std::uint8_t kListeningType = 0x90;
inline constexpr std::uint8_t kStatsType = 0x91;
inline constexpr std::uint8_t kProcessesType = 0x92;

struct Frame {
  std::uint8_t type = 0;
  std::string payload;
  bool operator==(const Frame&) const = default;
};

// One whole frame. Attach is preceded by the host's preamble, Hello is not: see guest_preamble().
// What a frame can't hold (a Configure or Exec above kMaxFrame) yields an empty string.
std::string encode(const Attach& message);
std::string encode(const Configure& message);
std::string encode(const Signal& message);
std::string encode(const Shutdown& message);
std::string encode(const Ack& message);
std::string encode(const Time& message);
std::string encode(const Ping& message);
std::string encode(const Resumed& message);
std::string encode(const Exec& message);
std::string encode(const ExecInput& message);
std::string encode(const ExecResize& message);
std::string encode(const ExecSignal& message);
std::string encode(const ExecOutputCredit& message);
std::string encode(const ExecClose& message);
std::string encode(const Inquire& message);
std::string encode(const Hello& message);
std::string encode(const Started& message);
std::string encode(const Output& message);
std::string encode(const Exited& message);
std::string encode(const Failed& message);
std::string encode(const Pong& message);
std::string encode(const ExecStarted& message);
std::string encode(const ExecOutput& message);
std::string encode(const ExecExited& message);
std::string encode(const ExecInputCredit& message);
std::string encode(const Listening& message);  // the first kMaxListening sockets

std::string encode(const Stats& message);      // the first kMaxStatsRows of each kind
std::string encode(const Processes& message);  // the first kMaxProcesses, texts cut

// Any frame; empty when the payload is above kMaxFrame.
std::string encode_frame(std::uint8_t type, std::string_view payload);

// What the guest writes in answer to an Attach, just before Hello.
std::string guest_preamble(std::uint64_t nonce);

// The message of a frame; nullopt for a type that this version does not know (to be ignored).
Decoded<std::optional<HostMessage>> decode_host_frame(const Frame& frame);
Decoded<std::optional<GuestMessage>> decode_guest_frame(const Frame& frame);

// The payload of each message that is more than a number or two; for tests and the above.
Decoded<Configure> decode_configure(std::string_view payload);
Decoded<Hello> decode_hello(std::string_view payload);
Decoded<Output> decode_output(std::string_view payload);
Decoded<Exited> decode_exited(std::string_view payload);
Decoded<Listening> decode_listening(std::string_view payload);
Decoded<Stats> decode_stats(std::string_view payload);
Decoded<Processes> decode_processes(std::string_view payload);

// The messages of exec (exec_codec.cc), by frame type; nullopt for another type.
Decoded<std::optional<HostMessage>> decode_exec_host_frame(const Frame& frame);
Decoded<std::optional<GuestMessage>> decode_exec_guest_frame(const Frame& frame);

// The marks at which a stream is picked up again. They are random bytes, the first of which ends
// no host message, and the guest's is valid only with the nonce of this connection.
inline constexpr std::string_view kHostMagic{
    "\xf5\x9c\x1e\xd3\x42\xb7\x08\x6f\xa1\x5d\xe9\x30\x77\xc4\x8b\x12", 16};
inline constexpr std::string_view kGuestMagic{
    "\xf6\x27\x90\xbc\x5e\x13\xcd\x84\x3a\xf9\x61\x0e\xd8\x75\x42\xab", 16};
inline constexpr std::size_t kPreamble = 16 + 8;  // magic and nonce

}  // namespace perigee::channel
