#include "backhaul/hop.h"

#include <algorithm>
#include <array>
#include <limits>

#include "backhaul/limits.h"
#include "base/text.h"

namespace perigee::backhaul {
namespace {

constexpr std::string_view kPrefix = "perigee-hop-";
constexpr std::string_view kApp = "perigee-hop-app";
constexpr std::string_view kMachine = "perigee-hop-machine";
constexpr std::string_view kNode = "perigee-hop-node";
constexpr std::string_view kPortField = "perigee-hop-port";
constexpr std::string_view kRelays = "perigee-hop-relays";
constexpr std::string_view kRefused = "perigee-hop-refused";
constexpr std::string_view kFrom = "perigee-hop-from";
constexpr std::string_view kLoads = "perigee-hop-loads";
constexpr std::string_view kFailed = "perigee-hop-failed";
constexpr std::string_view kRelay = "perigee-hop-relay";

struct RefusalText {
  Refusal refusal;
  std::string_view name;
  std::string_view sentence;
};
constexpr std::array<RefusalText, 5> kRefusals{{
    {Refusal::at_limit, "at-limit", "it is at its hard limit"},
    {Refusal::gone, "gone", "its node does not know it any more"},
    {Refusal::not_started, "not-started", "it does not run"},
    {Refusal::not_listening, "not-listening", "it does not accept connections"},
    {Refusal::unreachable, "unreachable", "its node can't be reached"},
}};

const RefusalText& text_of(Refusal refusal) {
  return *std::ranges::find(kRefusals, refusal, &RefusalText::refusal);
}

Result<std::string> required(const http::Headers& headers, std::string_view field) {
  const std::string_view* value = headers.find(field);
  if (value == nullptr || value->empty() || value->size() > kMaxNameBytes) {
    return fail(Code::invalid_argument, "{}: missing, empty or too long", field);
  }
  return std::string(*value);
}

Result<int> required_number(const http::Headers& headers, std::string_view field,
                            std::uint64_t max) {
  TRY(const std::string text, required(headers, field));
  const auto number = parse_uint(text, max);
  if (!number) return fail(Code::invalid_argument, "{}: '{}' is no number to {}", field, text, max);
  return static_cast<int>(*number);
}

}  // namespace

std::string_view name(Refusal refusal) {
  return text_of(refusal).name;
}

std::string_view describe(Refusal refusal) {
  return text_of(refusal).sentence;
}

void put(http::Headers& headers, const Hop& hop) {
  headers.set(kNode, hop.node);
  headers.set(kRelays, std::to_string(hop.relays));
  headers.set(kFrom, hop.from);
  if (hop.loads) return headers.set(kLoads, "1");
  headers.set(kApp, hop.app);
  headers.set(kMachine, hop.machine);
  headers.set(kPortField, std::to_string(hop.port));
}

Result<Hop> hop_of(const http::Headers& headers) {
  Hop hop;
  TRY(hop.node, required(headers, kNode));
  TRY(hop.relays, required_number(headers, kRelays, kMaxRelays));
  TRY(hop.from, required(headers, kFrom));
  hop.loads = headers.find(kLoads) != nullptr;
  if (hop.loads) return hop;
  TRY(hop.app, required(headers, kApp));
  TRY(hop.machine, required(headers, kMachine));
  TRY(hop.port, required_number(headers, kPortField, std::numeric_limits<std::uint16_t>::max()));
  return hop;
}

void put(http::Headers& headers, const Told& told) {
  if (told.refusal) headers.set(kRefused, name(*told.refusal));
  if (!told.failure.empty()) headers.set(kFailed, told.failure);
  if (!told.relay.empty()) headers.set(kRelay, told.relay);
}

Told told_by(const http::Headers& headers) {
  Told told;
  if (const std::string_view* refused = headers.find(kRefused)) {
    const auto known = std::ranges::find(kRefusals, *refused, &RefusalText::name);
    // A later version's reason is a refusal all the same.
    told.refusal = known == kRefusals.end() ? Refusal::gone : known->refusal;
  }
  if (const std::string_view* failed = headers.find(kFailed)) told.failure = *failed;
  if (const std::string_view* relay = headers.find(kRelay)) told.relay = *relay;
  return told;
}

bool is_hop_field(std::string_view name) {
  return iequals(name.substr(0, kPrefix.size()), kPrefix);
}

void remove_hop_fields(http::Headers& headers) {
  headers.remove_if(is_hop_field);
}

}  // namespace perigee::backhaul
