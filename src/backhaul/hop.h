// What routers tell each other with a request and its answer: header fields whose names begin with
// perigee-hop- (docs/formats/backhaul.md). Pure. None of them ever comes from or goes to a user.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace perigee::backhaul {

// Where a request is to go.
struct Hop {
  std::string app{};
  std::string machine{};
  std::string node{};  // where the machine is
  int port = 0;        // the app's, inside the machine
  int relays = 0;      // routers it has passed on its way that are not at its end
  std::string from{};  // the node whose router the user is connected to; empty: the client's own
  bool loads = false;  // asks for what the node's machines have to do; no app, machine and port
  bool operator==(const Hop&) const = default;
};

// Why the other router did not give the request to the machine. It may go elsewhere.
enum class Refusal {
  at_limit,       // as many requests as its hard limit allows are there
  gone,           // that router does not know it, or it does not serve the port
  not_started,    // it is known, and does not run
  not_listening,  // it does not accept the connection
  unreachable,    // a relay does not reach its node
};
std::string_view name(Refusal refusal);
std::string_view describe(Refusal refusal);

// What an answer says of itself.
struct Told {
  std::optional<Refusal> refusal{};
  std::string failure{};  // the router answered, not the machine: an error page's code
  std::string relay{};    // the node that it came through
  bool operator==(const Told&) const = default;
};

void put(http::Headers& headers, const Hop& hop);
Result<Hop> hop_of(const http::Headers& headers);
void put(http::Headers& headers, const Told& told);
Told told_by(const http::Headers& headers);
// What a user, or a machine, may have put there.
bool is_hop_field(std::string_view name);
void remove_hop_fields(http::Headers& headers);

}  // namespace perigee::backhaul
