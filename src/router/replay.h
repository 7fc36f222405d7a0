// Replay: a machine's answer that asks for its request to be taken elsewhere, by fly-replay's
// rules:
//
//   perigee-replay: app=hello;region=syd;state=abc          (or under fly-replay's name)
//   Content-Type: application/vnd.fly.replay+json           and a body with the same fields
//
//   if (asks_for_replay(head)) { TRY(Replay replay, replay_of(head, body)); … }
//
// Fields: app, region (a list, or a part of the world), instance, prefer_instance, state,
// elsewhere, timeout, fallback; in JSON a transform, too. One that is unknown makes it invalid: an
// app must not run without what it asked for. Pure; docs/replay.md tells what each does.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "http/message.h"
#include "routing/wish.h"

namespace perigee::router {

// What becomes of the request's head on its way there.
struct ReplayTransform {
  std::string path{};  // in place of the request's; empty: it stays
  std::vector<std::string> delete_headers{};
  std::vector<http::OwnField> set_headers{};
  bool operator==(const ReplayTransform&) const = default;
};

// Where it goes when it could not be taken there.
enum class ReplayFallback {
  none,
  prefer_self,  // to the machine that asked, else to another one of its app
  force_self,   // to that one or none
};

struct Replay {
  std::string app{};  // empty: the same
  routing::Wish wish{};
  bool elsewhere = false;  // not to the machine that asked
  std::string state{};     // for whoever gets it
  std::optional<Duration> timeout{};
  ReplayFallback fallback = ReplayFallback::none;
  ReplayTransform transform{};
};

bool asks_for_replay(const http::ResponseHead& head);
// `body`: of the response; read only where its Content-Type says that the fields are in it.
bool is_replay_body(const http::ResponseHead& head);
Result<Replay> replay_of(const http::ResponseHead& head, std::string_view body);

Result<Replay> parse_replay(std::string_view fields);
Result<Replay> parse_replay_json(std::string_view text);

void apply(const ReplayTransform& transform, http::RequestHead& head);

}  // namespace perigee::router
