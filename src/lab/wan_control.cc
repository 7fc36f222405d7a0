#include "lab/wan_control.h"

#include <algorithm>
#include <array>

#include "lab/limits.h"

namespace perigee::lab {
namespace {

using Action = WanRequest::Action;

struct ActionName {
  Action action;
  std::string_view name;
};
constexpr std::array<ActionName, 5> kActions{{{Action::stat, "stat"},
                                              {Action::cut, "cut"},
                                              {Action::heal, "heal"},
                                              {Action::degrade, "degrade"},
                                              {Action::capture, "capture"}}};

constexpr double kNanosecondsPerMs = 1e6;
constexpr double kBitsPerMbit = 1e6;
constexpr double kMaxMbit = 1e6;

Result<Action> action_named(std::string_view name) {
  const auto found = std::ranges::find(kActions, name, &ActionName::name);
  if (found == kActions.end()) {
    return fail(Code::invalid_argument, "'{}' is nothing that the emulator does", name);
  }
  return found->action;
}

Result<std::optional<double>> number_in(const json::Value& object, std::string_view key,
                                        double max) {
  const json::Value* member = object.find(key);
  if (member == nullptr || member->is_null()) return std::optional<double>();
  const auto value = member->number();
  if (!value || !(*value >= 0 && *value <= max)) {
    return fail(Code::invalid_argument, "{}: expected a number from 0 to {}", key, max);
  }
  return value;
}

Duration milliseconds(double ms) {
  return Duration(static_cast<std::int64_t>(ms * kNanosecondsPerMs));
}

double in_ms(Duration duration) {
  return static_cast<double>(duration.count()) / kNanosecondsPerMs;
}

}  // namespace

std::string encode(const WanRequest& request) {
  const auto name = std::ranges::find(kActions, request.action, &ActionName::action)->name;
  json::Value out = json::object({{"do", name}});
  if (!request.a.empty()) out.set("a", request.a);
  if (!request.b.empty()) out.set("b", request.b);
  if (request.rtt_ms) out.set("rtt_ms", *request.rtt_ms);
  if (request.jitter_ms) out.set("jitter_ms", *request.jitter_ms);
  if (request.loss) out.set("loss", *request.loss);
  if (request.rate_mbit) out.set("rate_mbit", *request.rate_mbit);
  if (!request.file.empty()) out.set("file", request.file);
  return out.dump();
}

Result<WanRequest> decode_wan_request(std::string_view line) {
  const double max_ms = 2 * in_ms(kMaxDelay);
  TRY(const json::Value value, json::parse(line));
  WanRequest request;
  TRY(const std::string name, value.require_string("do"));
  TRY(request.action, action_named(name));
  TRY(request.a, value.optional_string("a"));
  TRY(request.b, value.optional_string("b"));
  TRY(request.rtt_ms, number_in(value, "rtt_ms", max_ms));
  TRY(request.jitter_ms, number_in(value, "jitter_ms", max_ms));
  TRY(request.loss, number_in(value, "loss", 1));
  TRY(request.rate_mbit, number_in(value, "rate_mbit", kMaxMbit));
  TRY(request.file, value.optional_string("file"));
  return request;
}

void WanControl::reset() {
  for (Site a = 0; a < wan_.sites(); ++a) {
    for (Site b = a; b < wan_.sites(); ++b) wan_.set_path(a, b, base_path(plan_, a, b));
  }
}

Result<json::Value> WanControl::apply(const WanRequest& request) {
  json::Value done = json::object({{"ok", true}});
  switch (request.action) {
    case Action::stat:
      return stat();
    case Action::cut:
      TRY_VOID(cut(request));
      return done;
    case Action::heal:
      TRY_VOID(heal(request));
      return done;
    case Action::degrade:
      TRY_VOID(degrade(request));
      return done;
    case Action::capture:
      break;
  }
  return fail(Code::unsupported, "capture: not by this part of the emulator");
}

Result<std::vector<std::pair<Site, Site>>> WanControl::paths_of(const WanRequest& request) const {
  TRY(const CityPlan* a, plan_.city(request.a));
  std::vector<std::pair<Site, Site>> paths;
  if (!request.b.empty()) {
    TRY(const CityPlan* b, plan_.city(request.b));
    if (a == b) {
      return fail(Code::invalid_argument, "{}-{}: a path has two cities", request.a, request.b);
    }
    paths.emplace_back(a->site, b->site);
    return paths;
  }
  for (Site other = 0; other < wan_.sites(); ++other) {
    if (other != a->site) paths.emplace_back(a->site, other);
  }
  return paths;
}

Result<void> WanControl::cut(const WanRequest& request) {
  TRY(const auto paths, paths_of(request));
  for (const auto& [a, b] : paths) {
    PathSettings settings = wan_.path(a, b);
    settings.up = false;
    wan_.set_path(a, b, settings);
  }
  return {};
}

Result<void> WanControl::heal(const WanRequest& request) {
  if (request.a.empty()) {
    reset();
    return {};
  }
  TRY(const auto paths, paths_of(request));
  for (const auto& [a, b] : paths) wan_.set_path(a, b, base_path(plan_, a, b));
  return {};
}

Result<void> WanControl::degrade(const WanRequest& request) {
  TRY(const auto paths, paths_of(request));
  for (const auto& [a, b] : paths) {
    PathSettings settings = wan_.path(a, b);
    if (request.rtt_ms) settings.delay = milliseconds(*request.rtt_ms / 2);
    if (request.jitter_ms) settings.jitter = milliseconds(*request.jitter_ms);
    if (request.loss) settings.loss = *request.loss;
    if (request.rate_mbit) {
      settings.bits_per_second = static_cast<std::uint64_t>(*request.rate_mbit * kBitsPerMbit);
    }
    wan_.set_path(a, b, settings);
  }
  return {};
}

json::Value WanControl::path_stat(Site from, Site to) const {
  const PathSettings& settings = wan_.path(from, to);
  const PathCounters& counters = wan_.counters(from, to);
  return json::object({{"from", plan_.cities[from].city.code},
                       {"to", plan_.cities[to].city.code},
                       {"rtt_ms", in_ms(2 * settings.delay)},
                       {"jitter_ms", in_ms(settings.jitter)},
                       {"loss", settings.loss},
                       {"rate_mbit", static_cast<double>(settings.bits_per_second) / kBitsPerMbit},
                       {"up", settings.up},
                       {"as_mapped", settings == base_path(plan_, from, to)},
                       {"frames", counters.frames},
                       {"bytes", counters.bytes},
                       {"lost", counters.lost},
                       {"refused", counters.refused},
                       {"cut", counters.cut}});
}

json::Value WanControl::stat() const {
  json::Value paths = json::array();
  for (Site from = 0; from < wan_.sites(); ++from) {
    for (Site to = 0; to < wan_.sites(); ++to) {
      if (from != to) paths.push(path_stat(from, to));
    }
  }
  return json::object({{"ok", true},
                       {"queued_frames", static_cast<std::uint64_t>(wan_.queued_frames())},
                       {"queued_bytes", wan_.queued_bytes()},
                       {"paths", std::move(paths)}});
}

}  // namespace perigee::lab
