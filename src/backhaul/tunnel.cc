#include "backhaul/tunnel.h"

#include <limits>

#include "backhaul/fields.h"
#include "backhaul/limits.h"
#include "base/text.h"

namespace perigee::backhaul {
namespace {

constexpr char kYes = 0;

Result<std::string> required(const proxy_protocol::Header& header, Field field) {
  const std::string* value = header.find(field);
  if (value == nullptr || value->empty() || value->size() > kMaxNameBytes) {
    return fail(Code::data_loss, "a tunnel's opening: field {:#x} is missing, empty or too long",
                static_cast<unsigned>(field));
  }
  return *value;
}

Result<int> required_number(const proxy_protocol::Header& header, Field field, std::uint64_t max) {
  TRY(const std::string text, required(header, field));
  const auto number = parse_uint(text, max);
  if (!number) {
    return fail(Code::data_loss, "a tunnel's opening: field {:#x}: '{}' is no number to {}",
                static_cast<unsigned>(field), text, max);
  }
  return static_cast<int>(*number);
}

}  // namespace

Result<std::string> opening(const Tunnel& tunnel) {
  const Hop& hop = tunnel.hop;
  const std::string_view any = tunnel.client.is_ipv6() ? "::" : "0.0.0.0";
  TRY(const sys::Address listener,
      sys::Address::ip(any, static_cast<std::uint16_t>(tunnel.listener_port)));
  return proxy_protocol::encode({.transport = proxy_protocol::Transport::tcp,
                                 .source = tunnel.client,
                                 .destination = listener,
                                 .tlvs = {{kApp, hop.app},
                                          {kMachine, hop.machine},
                                          {kNode, hop.node},
                                          {kMachinePort, std::to_string(hop.port)},
                                          {kRelays, std::to_string(hop.relays)},
                                          {kRequestId, tunnel.request_id},
                                          {kFrom, hop.from}}});
}

Result<Tunnel> tunnel_of(const proxy_protocol::Header& header) {
  if (!header.source || !header.destination) {
    return fail(Code::data_loss, "a tunnel's opening does not say who the client is");
  }
  Tunnel tunnel{.client = *header.source, .listener_port = header.destination->port()};
  TRY(tunnel.hop.app, required(header, kApp));
  TRY(tunnel.hop.machine, required(header, kMachine));
  TRY(tunnel.hop.node, required(header, kNode));
  TRY(tunnel.hop.port,
      required_number(header, kMachinePort, std::numeric_limits<std::uint16_t>::max()));
  TRY(tunnel.hop.relays, required_number(header, kRelays, kMaxRelays));
  TRY(tunnel.request_id, required(header, kRequestId));
  TRY(tunnel.hop.from, required(header, kFrom));
  return tunnel;
}

char answer_byte(std::optional<Refusal> refusal) {
  return refusal ? static_cast<char>(1 + static_cast<int>(*refusal)) : kYes;
}

std::optional<Refusal> refusal_of(char answer) {
  if (answer == kYes) return std::nullopt;
  const int number = answer - 1;
  const bool known = number >= 0 && number <= static_cast<int>(Refusal::unreachable);
  return known ? static_cast<Refusal>(number) : Refusal::gone;
}

}  // namespace perigee::backhaul
