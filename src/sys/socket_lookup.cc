#include "sys/socket_lookup.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

namespace perigee::sys {
namespace {

constexpr std::uint32_t kMaxPrefixes = 1024;
constexpr std::uint32_t kSockets = 4;  // by kUdp * (UDP) + (IPv6)
constexpr std::int32_t kUdp = 2;
constexpr std::size_t kVerifierLog = 16 * 1024;

int bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

Error bpf_error(int error, std::string_view what) {
  if (error == EPERM || error == EACCES) return errno_error(error, std::string(what));
  return Error::make(Code::unsupported, fmt::format("{}: {} (BPF programs of kind sk_lookup need "
                                                    "Linux 5.9 with CONFIG_BPF_SYSCALL)",
                                                    what, std::strerror(error)));
}

Result<Fd> make_map(bpf_map_type type, std::uint32_t key, std::uint32_t value, std::uint32_t max) {
  bpf_attr attributes{};
  attributes.map_type = type;
  attributes.key_size = key;
  attributes.value_size = value;
  attributes.max_entries = max;
  if (type == BPF_MAP_TYPE_LPM_TRIE) attributes.map_flags = BPF_F_NO_PREALLOC;
  const int fd = bpf(BPF_MAP_CREATE, attributes);
  const int error = errno;
  if (fd < 0) return fail(bpf_error(error, "make a BPF map"));
  return Fd(fd);
}

Result<void> put(const Fd& map, const void* key, const void* value) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(map.get());
  attributes.key = reinterpret_cast<std::uint64_t>(key);
  attributes.value = reinterpret_cast<std::uint64_t>(value);
  attributes.flags = BPF_ANY;
  if (bpf(BPF_MAP_UPDATE_ELEM, attributes) == 0) return {};
  const int error = errno;
  return fail(bpf_error(error, "write to a BPF map"));
}

// ---- the program ----

enum Register : std::uint8_t { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, frame };

// Instructions in order, with jumps to places that come later.
class Assembler {
 public:
  using Jump = std::size_t;

  void load(Register to, Register from, std::size_t offset) {
    add(BPF_LDX | BPF_MEM | BPF_W, to, from, static_cast<std::int16_t>(offset), 0);
  }
  void store(int stack, Register from) {
    add(BPF_STX | BPF_MEM | BPF_W, frame, from, static_cast<std::int16_t>(stack), 0);
  }
  void store_number(int stack, std::int32_t number) {
    add(BPF_ST | BPF_MEM | BPF_W, frame, r0, static_cast<std::int16_t>(stack), number);
  }
  void move(Register to, Register from) { add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void set(Register to, std::int32_t number) {
    add(BPF_ALU64 | BPF_MOV | BPF_K, to, r0, 0, number);
  }
  void plus(Register to, std::int32_t number) {
    add(BPF_ALU64 | BPF_ADD | BPF_K, to, r0, 0, number);
  }
  void address_of(Register to, int stack) {
    move(to, frame);
    plus(to, stack);
  }
  void map(Register to, const Fd& fd) {  // takes two places
    add(BPF_LD | BPF_DW | BPF_IMM, to, static_cast<Register>(BPF_PSEUDO_MAP_FD), 0, fd.get());
    add(0, r0, r0, 0, 0);
  }
  void call(std::int32_t helper) { add(BPF_JMP | BPF_CALL, r0, r0, 0, helper); }
  Jump if_equal(Register a, std::int32_t number) {
    return jump(BPF_JMP | BPF_JEQ | BPF_K, a, number);
  }
  Jump if_other(Register a, std::int32_t number) {
    return jump(BPF_JMP | BPF_JNE | BPF_K, a, number);
  }
  Jump always() { return jump(BPF_JMP | BPF_JA, r0, 0); }
  void land(Jump from) { code_[from].off = static_cast<std::int16_t>(code_.size() - from - 1); }
  void exit() { add(BPF_JMP | BPF_EXIT, r0, r0, 0, 0); }
  const std::vector<bpf_insn>& code() const { return code_; }

 private:
  Jump jump(int operation, Register a, std::int32_t number) {
    add(operation, a, r0, 0, number);
    return code_.size() - 1;
  }
  void add(int operation, Register to, Register from, std::int16_t offset, std::int32_t number) {
    code_.push_back({.code = static_cast<std::uint8_t>(operation),
                     .dst_reg = to,
                     .src_reg = from,
                     .off = offset,
                     .imm = number});
  }
  std::vector<bpf_insn> code_;
};

struct Maps {
  Fd prefixes4;
  Fd prefixes6;
  Fd sockets;
};

constexpr int kKey4 = -8;    // on the stack: length in bits, 4 bytes of address
constexpr int kKey6 = -20;   // length in bits, 16 bytes of address
constexpr int kIndex = -24;  // of the socket

// r0: what the networks' map has for the destination, or null; r8: the socket's index by family.
void look_for_prefix(Assembler& code, const Maps& maps) {
  code.load(r2, r6, offsetof(bpf_sk_lookup, family));
  const auto ipv6 = code.if_other(r2, AF_INET);
  code.set(r8, 0);
  code.store_number(kKey4, 32);
  code.load(r2, r6, offsetof(bpf_sk_lookup, local_ip4));
  code.store(kKey4 + 4, r2);
  code.map(r1, maps.prefixes4);
  code.address_of(r2, kKey4);
  code.call(BPF_FUNC_map_lookup_elem);
  const auto done = code.always();
  code.land(ipv6);
  code.set(r8, 1);
  code.store_number(kKey6, 128);
  for (int word = 0; word < 4; ++word) {
    code.load(r2, r6, offsetof(bpf_sk_lookup, local_ip6) + static_cast<std::size_t>(4 * word));
    code.store(kKey6 + 4 + 4 * word, r2);
  }
  code.map(r1, maps.prefixes6);
  code.address_of(r2, kKey6);
  code.call(BPF_FUNC_map_lookup_elem);
  code.land(done);
}

// if (destination in a network) { assign its socket; } return SK_PASS;
std::vector<bpf_insn> program(const Maps& maps) {
  Assembler code;
  code.move(r6, r1);
  code.load(r7, r6, offsetof(bpf_sk_lookup, protocol));
  look_for_prefix(code, maps);
  const auto elsewhere = code.if_equal(r0, 0);
  const auto tcp = code.if_other(r7, IPPROTO_UDP);
  code.plus(r8, kUdp);
  code.land(tcp);
  code.store(kIndex, r8);
  code.map(r1, maps.sockets);
  code.address_of(r2, kIndex);
  code.call(BPF_FUNC_map_lookup_elem);
  const auto no_socket = code.if_equal(r0, 0);
  code.move(r7, r0);
  code.move(r1, r6);
  code.move(r2, r7);
  code.set(r3, 0);
  code.call(BPF_FUNC_sk_assign);
  code.move(r1, r7);
  code.call(BPF_FUNC_sk_release);
  code.land(elsewhere);
  code.land(no_socket);
  code.set(r0, SK_PASS);
  code.exit();
  return code.code();
}

Result<Fd> load_program(const std::vector<bpf_insn>& code) {
  std::string log(kVerifierLog, '\0');
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
  attributes.expected_attach_type = BPF_SK_LOOKUP;
  attributes.insns = reinterpret_cast<std::uint64_t>(code.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  attributes.license = reinterpret_cast<std::uint64_t>("GPL");
  attributes.log_buf = reinterpret_cast<std::uint64_t>(log.data());
  attributes.log_size = static_cast<std::uint32_t>(log.size());
  attributes.log_level = 1;
  std::strncpy(attributes.prog_name, "perigee_ports", sizeof attributes.prog_name - 1);
  const int fd = bpf(BPF_PROG_LOAD, attributes);
  const int error = errno;
  if (fd >= 0) return Fd(fd);
  return fail(bpf_error(error, fmt::format("load the program of socket look-ups: {}",
                                           log.substr(0, log.find('\0')))));
}

Result<Maps> make_maps() {
  Maps maps;
  TRY(maps.prefixes4, make_map(BPF_MAP_TYPE_LPM_TRIE, 8, 4, kMaxPrefixes));
  TRY(maps.prefixes6, make_map(BPF_MAP_TYPE_LPM_TRIE, 20, 4, kMaxPrefixes));
  TRY(maps.sockets, make_map(BPF_MAP_TYPE_SOCKMAP, 4, 8, kSockets));
  return maps;
}

Result<void> fill(const Maps& maps, const std::vector<IpPrefix>& prefixes,
                  const SteeredSockets& sockets) {
  const std::uint32_t there = 1;
  for (const IpPrefix& prefix : prefixes) {
    const auto length = static_cast<std::uint32_t>(prefix.length());
    std::string key(reinterpret_cast<const char*>(&length), sizeof length);
    key += prefix.bytes();
    TRY_VOID_AS(put(prefix.is_ipv6() ? maps.prefixes6 : maps.prefixes4, key.data(), &there),
                prefix.str());
  }
  const std::array<int, kSockets> all{sockets.tcp4, sockets.tcp6, sockets.udp4, sockets.udp6};
  for (std::uint32_t i = 0; i < kSockets; ++i) {
    const auto socket = static_cast<std::uint64_t>(all[i]);
    if (all[i] >= 0) TRY_VOID(put(maps.sockets, &i, &socket));
  }
  return {};
}

}  // namespace

Result<Fd> steer(const std::vector<IpPrefix>& prefixes, const SteeredSockets& sockets) {
  TRY(const Maps maps, make_maps());
  TRY_VOID(fill(maps, prefixes, sockets));
  TRY(const Fd loaded, load_program(program(maps)));
  TRY(const Fd network,
      own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open the network namespace"));
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(loaded.get());
  attributes.link_create.target_fd = static_cast<std::uint32_t>(network.get());
  attributes.link_create.attach_type = BPF_SK_LOOKUP;
  const int link = bpf(BPF_LINK_CREATE, attributes);
  const int error = errno;
  if (link < 0) return fail(bpf_error(error, "attach the program of socket look-ups"));
  return Fd(link);
}

Result<void> check_steering() {
  TRY(const Maps maps, make_maps());
  TRY([[maybe_unused]] const Fd loaded, load_program(program(maps)));
  return {};
}

}  // namespace perigee::sys
