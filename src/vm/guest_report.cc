#include "vm/guest_report.h"

namespace perigee::vm {
namespace {

constexpr std::size_t kMaxSockets = 64;

}  // namespace

json::Value to_json(const std::vector<ListeningSocket>& sockets) {
  json::Value out = json::array();
  for (const ListeningSocket& socket : sockets) {
    out.push(json::object(
        {{"address", socket.address}, {"port", socket.port}, {"process", socket.process}}));
  }
  return out;
}

Result<std::vector<ListeningSocket>> listening_from(const json::Value& value) {
  if (!value.is_array() || value.items().size() > kMaxSockets) {
    return fail(Code::internal, "the monitor's answer has no list of sockets");
  }
  std::vector<ListeningSocket> out;
  for (const json::Value& item : value.items()) {
    ListeningSocket socket;
    TRY(socket.address, item.require_string("address"));
    TRY(const std::int64_t port, item.require_int("port"));
    socket.port = static_cast<int>(port);
    TRY(socket.process, item.optional_string("process"));
    out.push_back(std::move(socket));
  }
  return out;
}

}  // namespace perigee::vm
