// The messages of the guest control channel, as plain values. The host's monitor and the guest's
// perigee-init exchange them over virtio-serial (QEMU) or vsock (Firecracker); the wire format is
// docs/formats/guest-channel.md. This module depends on the C++ standard library alone, because
// perigee-init links it statically. The host trusts nothing that a guest sends.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "channel/stats.h"

namespace perigee::channel {

inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::string_view kPortName = "perigee.control";  // of the virtio-serial port
inline constexpr std::uint32_t kVsockPort = 1000;  // which init listens on; below 1024: root's

enum class DecodeError : std::uint8_t {
  kTruncated,    // the payload ends inside a field
  kFrameTooBig,  // a length above kMaxFrame
  kTooMany,      // more items than limits.h allows
  kBadValue,     // a field has a value that the format does not know
  kUnexpected,   // a message of a type that this side never receives
};
std::string_view to_string(DecodeError error);

template <typename T>
using Decoded = std::expected<T, DecodeError>;

// Host to guest ------------------------------------------------------------------------------

// A disk that outlives the machine: an ext4 file system, mounted in the app's root.
struct VolumeMount {
  std::uint32_t disk = 0;  // its index, as `upper_disk`
  std::string path;
  std::string key = {};  // kVolumeKeyBytes, for dm-crypt's aes-xts-plain64; empty: not encrypted
  bool operator==(const VolumeMount&) const = default;
};

// What init is to run and on what. Strings are used as they are; init reports what it can't use.
struct Configure {
  std::vector<std::string> argv;
  std::vector<std::string> env;             // "KEY=value"
  std::string user;                         // "name|uid[:group|gid]"; empty: root
  std::string workdir;                      // empty: "/"
  std::string hostname;                     // empty: left as it is
  std::vector<std::string> addresses;       // "10.0.0.2/32", "fdaa::2/128": of eth0
  std::vector<std::string> gateways;        // at most one per family; may lie outside every prefix
  std::vector<std::string> nameservers;     // of /etc/resolv.conf
  std::vector<std::string> hosts;           // "ADDRESS NAME...": lines of /etc/hosts
  std::uint32_t layers = 0;                 // the first disks, lowest layer first (vda, vdb, ...)
  std::optional<std::uint32_t> upper_disk;  // index of the writable disk; default: after the layers
  std::uint32_t mtu = 0;                    // of eth0; 0: left as it is
  std::string gateway_mac;                  // of all gateways: never asked for; empty: asked for
  bool tty = false;
  std::vector<VolumeMount> volumes;
  bool operator==(const Configure&) const = default;
};
struct Signal {
  std::uint32_t signo = 0;
  bool operator==(const Signal&) const = default;
};
// Ends the machine: the app is killed if it still runs, then the guest powers off.
struct Shutdown {
  bool operator==(const Shutdown&) const = default;
};
// Everything up to and including `sequence` is safe with the host.
struct Ack {
  std::uint64_t sequence = 0;
  bool operator==(const Ack&) const = default;
};
struct Time {
  std::int64_t unix_ns = 0;
  bool operator==(const Time&) const = default;
};
// The guest was saved and goes on now: the time, and bytes for its random number generator, which
// would otherwise go on as if nothing had happened.
struct Resumed {
  std::int64_t unix_ns = 0;
  std::string entropy;  // kEntropyBytes
  bool operator==(const Resumed&) const = default;
};
struct Ping {
  std::uint64_t token = 0;
  bool operator==(const Ping&) const = default;
};

// A process beside the app: `perigee console`, `perigee machine exec`. Ids are the host's and count
// up; a session ends with its process, with ExecClose, or with the connection.
struct Exec {
  std::uint32_t id = 0;
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "KEY=value", over the app's
  std::string user;              // empty: the app's
  std::string workdir;           // empty: the app's
  bool tty = false;
  std::uint16_t rows = 0;  // of the terminal; 0: unknown
  std::uint16_t cols = 0;
  bool operator==(const Exec&) const = default;
};
struct ExecInput {
  std::uint32_t id = 0;
  bool eof = false;  // nothing follows
  std::string bytes;
  bool operator==(const ExecInput&) const = default;
};
struct ExecResize {
  std::uint32_t id = 0;
  std::uint16_t rows = 0;
  std::uint16_t cols = 0;
  bool operator==(const ExecResize&) const = default;
};
// To the session's process group.
struct ExecSignal {
  std::uint32_t id = 0;
  std::uint32_t signo = 0;
  bool operator==(const ExecSignal&) const = default;
};
// The client has taken so many bytes: as many more may be sent.
struct ExecOutputCredit {
  std::uint32_t id = 0;
  std::uint32_t bytes = 0;
  bool operator==(const ExecOutputCredit&) const = default;
};
// The client is gone: whatever is left of the session is killed.
struct ExecClose {
  std::uint32_t id = 0;
  bool operator==(const ExecClose&) const = default;
};
// Asks the guest to report; it answers with the message of that name.
enum class Topic : std::uint8_t { kListening = 1, kStats = 2, kProcesses = 3 };
struct Inquire {
  Topic topic = Topic::kListening;
  bool operator==(const Inquire&) const = default;
};
// The first message of each connection. `received` is the last sequence that the host kept:
// the guest sends again what follows it.
struct Attach {
  std::uint64_t nonce = 0;
  std::uint16_t version = kProtocolVersion;
  std::uint64_t received = 0;
  bool operator==(const Attach&) const = default;
};

// Guest to host ------------------------------------------------------------------------------

enum class GuestState : std::uint8_t { kWaiting = 0, kRunning = 1, kExited = 2, kFailed = 3 };
enum class Stream : std::uint8_t { kStdout = 1, kStderr = 2 };

// The answer to each Attach.
struct Hello {
  std::uint16_t version = kProtocolVersion;
  GuestState state = GuestState::kWaiting;
  std::uint32_t pid = 0;            // of the app; 0 before it started
  std::uint64_t dropped_bytes = 0;  // output lost since boot because no host took it
  bool operator==(const Hello&) const = default;
};
struct Started {
  std::uint32_t pid = 0;
  bool operator==(const Started&) const = default;
};
// Sequence numbers start at 1 and are shared by Output, Exited and Failed. A frame may come twice
// (after an Attach); the host ignores a sequence that it has.
struct Output {
  Stream stream = Stream::kStdout;
  std::uint64_t sequence = 0;
  std::string bytes;
  bool operator==(const Output&) const = default;
};
struct Exited {
  std::uint64_t sequence = 0;
  std::int32_t exit_code = 0;  // 128 + signal when signalled
  std::uint32_t signal = 0;    // 0: it exited by itself
  bool oom_killed = false;
  bool operator==(const Exited&) const = default;
};
// The app could not be started; `message` names the thing, the cause and the next step.
struct Failed {
  std::uint64_t sequence = 0;
  std::string message;
  bool operator==(const Failed&) const = default;
};
struct Pong {
  std::uint64_t token = 0;
  bool operator==(const Pong&) const = default;
};

// The answer to Exec. Without a pid it was refused, and `message` says why.
struct ExecStarted {
  std::uint32_t id = 0;
  std::uint32_t pid = 0;
  std::string message;
  bool operator==(const ExecStarted&) const = default;
};
// Not repeated after an Attach: the session has ended by then.
struct ExecOutput {
  std::uint32_t id = 0;
  Stream stream = Stream::kStdout;  // a terminal has only this one
  std::string bytes;
  bool operator==(const ExecOutput&) const = default;
};
// The last of a session.
struct ExecExited {
  std::uint32_t id = 0;
  std::int32_t exit_code = 0;  // 128 + signal when signalled
  std::uint32_t signal = 0;
  bool operator==(const ExecExited&) const = default;
};
// The process has taken so many bytes of its input: as many more may be sent.
struct ExecInputCredit {
  std::uint32_t id = 0;
  std::uint32_t bytes = 0;
  bool operator==(const ExecInputCredit&) const = default;
};

// A TCP socket that waits for connections. `process`: its owner's name, empty where that is
// unknown.
struct ListeningSocket {
  std::string address;  // 4 or 16 bytes in network order
  std::uint16_t port = 0;
  std::string process;
  bool operator==(const ListeningSocket&) const = default;
};
struct Listening {
  std::vector<ListeningSocket> sockets;
  bool operator==(const Listening&) const = default;
};

// What the guest's kernel counts. The lists of fields are in stats.h.
template <std::size_t kFields>
struct Counters {
  std::string name;  // "0" of a CPU, "vda", "eth0", "/data"
  std::array<std::uint64_t, kFields> values{};
  bool operator==(const Counters&) const = default;
};
struct Stats {
  std::array<std::uint32_t, kLoadFields.size()> load_centi{};  // load average times 100
  std::array<std::uint64_t, kMemoryFields.size()> memory{};    // bytes
  std::uint64_t files_open = 0;
  std::uint64_t files_limit = 0;
  std::vector<Counters<kCpuFields.size()>> cpus;  // centiseconds
  std::vector<Counters<kDiskFields.size()>> disks;
  std::vector<Counters<kNetworkFields.size()>> networks;
  std::vector<Counters<kFilesystemFields.size()>> filesystems;
  bool operator==(const Stats&) const = default;
};

// What runs in the guest, init and the app's own processes alike; kernel threads are left out.
enum class Transport : std::uint8_t { kTcp = 6, kUdp = 17 };  // as in an IP header
struct ProcessSocket {
  Transport transport = Transport::kTcp;
  std::string address;  // 4 or 16 bytes in network order
  std::uint16_t port = 0;
  bool operator==(const ProcessSocket&) const = default;
};
struct Process {
  std::uint32_t pid = 0;
  std::uint64_t started_unix_s = 0;  // by the guest's clock
  std::uint64_t age_ms = 0;
  std::uint64_t cpu_ms = 0;  // used since its start
  std::uint64_t rss_bytes = 0;
  std::string command;  // with its arguments, or its name where it has none
  std::string directory;
  std::vector<ProcessSocket> sockets;  // that it takes connections or datagrams on
  bool operator==(const Process&) const = default;
};
struct Processes {
  std::vector<Process> processes;
  bool operator==(const Processes&) const = default;
};

using HostMessage =
    std::variant<Attach, Configure, Signal, Shutdown, Ack, Time, Ping, Resumed, Exec, ExecInput,
                 ExecResize, ExecSignal, ExecOutputCredit, ExecClose, Inquire>;
using GuestMessage =
    std::variant<Hello, Started, Output, Exited, Failed, Pong, ExecStarted, ExecOutput, ExecExited,
                 ExecInputCredit, Listening, Stats, Processes>;

}  // namespace perigee::channel
