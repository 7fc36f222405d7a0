#include "backhaul/datagram.h"

#include <limits>

#include "backhaul/fields.h"
#include "backhaul/limits.h"
#include "backhaul/tunnel.h"
#include "base/text.h"
#include "proxy_protocol/proxy_header.h"

namespace perigee::backhaul {
namespace {

std::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::data_loss, "a datagram between routers: {}", what);
}

Result<std::string> text_of(const proxy_protocol::Header& header, Field field) {
  const std::string* value = header.find(field);
  if (value == nullptr) return std::string();
  if (value->empty() || value->size() > kMaxNameBytes) return malformed("a name's length");
  return *value;
}

Result<char> byte_of(const proxy_protocol::Header& header, Field field) {
  const std::string* value = header.find(field);
  if (value == nullptr || value->size() != 1) return malformed("a kind or reason is not one byte");
  return value->front();
}

Result<DatagramKind> kind_of(const proxy_protocol::Header& header) {
  TRY(const char byte, byte_of(header, kKind));
  if (byte < 0 || byte > static_cast<char>(DatagramKind::refused)) return malformed("its kind");
  return static_cast<DatagramKind>(byte);
}

// Where it is to go, on its way there.
Result<void> read_destination(const proxy_protocol::Header& header, Datagram& datagram) {
  TRY(datagram.app, text_of(header, kApp));
  TRY(const std::string text, text_of(header, kMachinePort));
  const auto port = parse_uint(text, std::numeric_limits<std::uint16_t>::max());
  if (datagram.app.empty() || !port) return malformed("no app, or no port");
  datagram.port = static_cast<int>(*port);
  return {};
}

Result<Datagram> datagram_of(const proxy_protocol::Header& header) {
  const bool udp = header.command == proxy_protocol::Command::proxy &&
                   header.transport == proxy_protocol::Transport::udp;
  if (!udp || !header.source || !header.destination) return malformed("no client over UDP");
  Datagram datagram{.client = *header.source, .listener = *header.destination};
  TRY(datagram.kind, kind_of(header));
  TRY(datagram.machine, text_of(header, kMachine));
  if (datagram.machine.empty()) return malformed("no machine");
  TRY(datagram.node, text_of(header, kNode));
  TRY(datagram.from, text_of(header, kFrom));
  if (datagram.node.empty() != datagram.from.empty()) return malformed("half of its way");
  if (datagram.kind == DatagramKind::to_machine) TRY_VOID(read_destination(header, datagram));
  if (datagram.kind == DatagramKind::refused) {
    TRY(const char byte, byte_of(header, kRefusal));
    datagram.refusal = refusal_of(byte);
    if (!datagram.refusal) return malformed("refused, and not");
  }
  return datagram;
}

std::vector<proxy_protocol::Tlv> fields_of(const Datagram& datagram) {
  std::vector<proxy_protocol::Tlv> fields{{kKind, std::string(1, static_cast<char>(datagram.kind))},
                                          {kMachine, datagram.machine}};
  if (datagram.kind == DatagramKind::to_machine) {
    fields.push_back({kApp, datagram.app});
    fields.push_back({kMachinePort, std::to_string(datagram.port)});
  }
  if (datagram.refusal) fields.push_back({kRefusal, std::string(1, answer_byte(datagram.refusal))});
  if (!datagram.node.empty()) {
    fields.push_back({kNode, datagram.node});
    fields.push_back({kFrom, datagram.from});
  }
  return fields;
}

}  // namespace

Datagram refused(Datagram datagram, Refusal refusal) {
  return {.kind = DatagramKind::refused,
          .client = datagram.client,
          .listener = datagram.listener,
          .machine = std::move(datagram.machine),
          .refusal = refusal};
}

Result<std::string> encode(const Datagram& datagram, std::string_view payload) {
  if (payload.size() > kMaxDatagram) {
    return fail(Code::resource_exhausted, "a datagram of {} bytes: at most {} cross",
                payload.size(), kMaxDatagram);
  }
  TRY(std::string bytes, proxy_protocol::encode({.transport = proxy_protocol::Transport::udp,
                                                 .source = datagram.client,
                                                 .destination = datagram.listener,
                                                 .tlvs = fields_of(datagram)}));
  return bytes.append(payload);
}

Result<DecodedDatagram> decode_datagram(std::string_view bytes) {
  TRY(const auto decoded, proxy_protocol::decode(bytes));
  if (!decoded) return malformed("its header is cut off");
  TRY(Datagram datagram, datagram_of(decoded->header));
  const std::string_view payload = bytes.substr(decoded->size);
  if (payload.size() > kMaxDatagram) return malformed("too long");
  return DecodedDatagram{.datagram = std::move(datagram), .payload = payload};
}

}  // namespace perigee::backhaul
