#include "router/replay.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "geo/regions.h"
#include "json/json.h"
#include "model/http_options.h"
#include "model/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::string_view kMediaType = "application/vnd.fly.replay+json";
constexpr std::size_t kMaxPath = 8 * 1024;

// Fields that say how a request is framed and where it goes, and those that the router vouches for.
constexpr std::array<std::string_view, 10> kFixedFields{
    "host", "content-length", "transfer-encoding", "connection", "te",
    "via",  "upgrade",        "trailer",           "expect",     "keep-alive"};
constexpr std::array<std::string_view, 4> kVouchedPrefixes{"perigee-", "fly-", "x-forwarded-",
                                                           "forwarded"};

const std::string_view* replay_field(const http::Headers& headers) {
  const std::string_view* ours = headers.find("perigee-replay");
  return ours != nullptr ? ours : headers.find("fly-replay");
}

std::string_view unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return quoted ? text.substr(1, text.size() - 2) : text;
}

// By ';', but not within quotes.
std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (text[i] != ';' || quoted) continue;
    parts.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

Result<void> take_regions(Replay& replay, std::string_view list) {
  const std::vector<std::string_view> words = split(list, ',');
  routing::Wish& wish = replay.wish;
  for (const std::string_view each : words) {
    const std::string word(trim(each));
    if (word == "any") continue;
    const auto part = geo::regions_of(word);
    for (const std::string_view code : part) wish.regions.emplace_back(std::string(code));
    if (!part.empty()) continue;
    TRY_AS(const RegionCode region, model::parse_region(word), "region");
    wish.regions.push_back(region);
  }
  if (wish.regions.size() > geo::well_known_regions().size()) {
    return fail(Code::invalid_argument, "region: too many");
  }
  const bool any = std::ranges::any_of(words, [](auto each) { return trim(each) == "any"; });
  wish.regions_only = !any && !wish.regions.empty();
  wish.regions_alike = words.size() == 1;  // one name: a region, or a part of the world
  return {};
}

Result<void> take_machine(Replay& replay, std::string_view id, bool only) {
  constexpr std::size_t kMaxId = 64;
  if (id.empty() || id.size() > kMaxId) return fail(Code::invalid_argument, "no machine's id");
  replay.wish.machine = MachineId(std::string(id));
  replay.wish.machine_only = only;
  return {};
}

Result<void> take_fallback(Replay& replay, std::string_view value) {
  if (value == "prefer_self") {
    replay.fallback = ReplayFallback::prefer_self;
  } else if (value == "force_self") {
    replay.fallback = ReplayFallback::force_self;
  } else {
    return fail(Code::invalid_argument, "'{}' is not one of prefer_self, force_self", value);
  }
  return {};
}

Result<void> take_timeout(Replay& replay, std::string_view value) {
  TRY(const Duration time, parse_duration(value));
  if (time <= Duration::zero() || time > kMaxReplayTimeout) {
    return fail(Code::invalid_argument, "'{}' is not above 0 and at most {} s", value,
                to_ms(kMaxReplayTimeout) / 1000);
  }
  replay.timeout = time;
  return {};
}

Result<void> take_state(Replay& replay, std::string_view value) {
  if (value.size() > kMaxReplayState || !model::is_field_value(value)) {
    return fail(Code::invalid_argument, "more than {} bytes, or no text for a header",
                kMaxReplayState);
  }
  replay.state = value;
  return {};
}

Result<void> take(Replay& replay, std::string_view name, std::string_view value) {
  if (name == "region") return take_regions(replay, value);
  if (name == "instance") return take_machine(replay, value, true);
  if (name == "prefer_instance") return take_machine(replay, value, false);
  if (name == "fallback") return take_fallback(replay, value);
  if (name == "timeout") return take_timeout(replay, value);
  if (name == "state") return take_state(replay, value);
  if (name == "app") {
    TRY(const AppName app, model::parse_app_name(value));
    replay.app = app.str();
    return {};
  }
  if (name == "elsewhere") {
    if (value != "true" && value != "false") {
      return fail(Code::invalid_argument, "'{}' is not true or false", value);
    }
    replay.elsewhere = value == "true";
    return {};
  }
  return fail(Code::unsupported, "there is no such field");
}

// ---- in JSON ----

Result<void> check_field(std::string_view name) {
  const std::string lower = to_lower(name);
  const bool vouched = std::ranges::any_of(
      kVouchedPrefixes, [&](std::string_view prefix) { return lower.starts_with(prefix); });
  if (!model::is_field_name(name) || vouched || std::ranges::count(kFixedFields, lower) > 0) {
    return fail(Code::invalid_argument, "'{}' can't be changed", name);
  }
  return {};
}

Result<ReplayTransform> transform_from(const json::Value& value) {
  ReplayTransform out;
  TRY(out.path, value.optional_string("path"));
  const bool good =
      std::ranges::all_of(out.path, [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
  if (!out.path.empty() && (out.path[0] != '/' || !good || out.path.size() > kMaxPath)) {
    return fail(Code::invalid_argument, "path: expected one that begins with '/'");
  }
  TRY(out.delete_headers, value.optional_strings("delete_headers"));
  for (const std::string& name : out.delete_headers) {
    TRY_VOID_AS(check_field(name), "delete_headers");
  }
  if (const json::Value* set = value.find("set_headers")) {
    for (const json::Value& each : set->items()) {
      TRY_AS(std::string name, each.require_string("name"), "set_headers");
      TRY_AS(std::string text, each.require_string("value"), "set_headers");
      TRY_VOID_AS(check_field(name), "set_headers");
      if (!model::is_field_value(text)) {
        return fail(Code::invalid_argument, "set_headers: {}: no header's value", name);
      }
      out.set_headers.emplace_back(std::move(name), std::move(text));
    }
  }
  if (out.set_headers.size() + out.delete_headers.size() > kMaxReplayFields) {
    return fail(Code::invalid_argument, "more than {} headers", kMaxReplayFields);
  }
  return out;
}

// A member's value as the header would have it.
Result<std::string> text_of(const json::Value& value) {
  if (const std::string* text = value.string()) return *text;
  if (const auto flag = value.boolean()) return std::string(*flag ? "true" : "false");
  std::vector<std::string> words;
  for (const json::Value& each : value.items()) {
    if (each.is_string()) words.push_back(*each.string());
  }
  if (!value.is_array() || words.size() != value.items().size()) {
    return fail(Code::invalid_argument, "expected a string");
  }
  return join(words, ",");
}

// RFC 9110 section 8.3.1: the type without its parameters.
std::string media_type(const http::Headers& headers) {
  const std::string_view* type = headers.find("content-type");
  if (type == nullptr) return {};
  return to_lower(trim(std::string_view(*type).substr(0, type->find(';'))));
}

}  // namespace

bool is_replay_body(const http::ResponseHead& head) {
  return replay_field(head.headers) == nullptr && media_type(head.headers) == kMediaType;
}

bool asks_for_replay(const http::ResponseHead& head) {
  return replay_field(head.headers) != nullptr || is_replay_body(head);
}

Result<Replay> replay_of(const http::ResponseHead& head, std::string_view body) {
  const std::string_view* field = replay_field(head.headers);
  return field != nullptr ? parse_replay(*field) : parse_replay_json(body);
}

Result<Replay> parse_replay(std::string_view fields) {
  Replay replay;
  for (const std::string_view part : parts_of(fields)) {
    if (trim(part).empty()) continue;
    const auto pair = split_once(part, '=');
    if (!pair) return fail(Code::invalid_argument, "'{}' has no '='", trim(part));
    const std::string_view name = trim(pair->first);
    TRY_VOID_AS(take(replay, name, unquoted(trim(pair->second))), name);
  }
  return replay;
}

Result<Replay> parse_replay_json(std::string_view text) {
  TRY(const json::Value value, json::parse(text));
  if (!value.is_object()) return fail(Code::invalid_argument, "expected an object");
  Replay replay;
  for (const auto& [name, member] : value.members()) {
    if (member.is_null()) continue;
    if (name == "transform") {
      TRY_AS(replay.transform, transform_from(member), name);
      continue;
    }
    TRY_AS(const std::string word, text_of(member), name);
    TRY_VOID_AS(take(replay, name, word), name);
  }
  return replay;
}

void apply(const ReplayTransform& transform, http::RequestHead& head) {
  for (const std::string& name : transform.delete_headers) head.headers.remove(name);
  for (const auto& [name, value] : transform.set_headers) head.headers.set(name, value);
  if (transform.path.empty()) return;
  const std::size_t query = head.target.find('?');
  const bool keeps = query != std::string::npos && transform.path.find('?') == std::string::npos;
  head.target = transform.path + (keeps ? head.target.substr(query) : std::string());
}

}  // namespace perigee::router
