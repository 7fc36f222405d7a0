#include "model/json_checks.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "model/checks.h"
#include "model/json_parts.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

constexpr EnumNames<CheckType, 2> kTypes{{{CheckType::tcp, "tcp"}, {CheckType::http, "http"}}};
constexpr EnumNames<CheckKind, 2> kKinds{
    {{CheckKind::informational, "informational"}, {CheckKind::readiness, "readiness"}}};
constexpr EnumNames<CheckHealth, 3> kHealth{{{CheckHealth::passing, "passing"},
                                             {CheckHealth::warning, "warning"},
                                             {CheckHealth::critical, "critical"}}};
constexpr std::array<std::string_view, 4> kMethods{"GET", "HEAD", "OPTIONS", "POST"};
constexpr Duration kMaxInterval = 1h;
constexpr Duration kMaxTimeout = 60s;
constexpr Duration kMaxGrace = 10min;

std::string duration_text(Duration duration) {
  return fmt::format("{}ms", to_ms(duration));
}

// "15s", or nanoseconds as the API's Go durations are.
Result<Duration> duration_in(const json::Value& value, std::string_view key, Duration fallback) {
  const json::Value* member = value.find(key);
  if (member == nullptr || member->is_null()) return fallback;
  if (const auto ns = member->integer()) return Duration(*ns);
  TRY(const std::string text, value.require_string(key));
  TRY_AS(const Duration duration, parse_duration(text), key);
  return duration;
}

Result<void> validate_duration(std::string_view key, Duration duration, Duration min,
                               Duration max) {
  if (duration < min || duration > max) {
    return fail(Code::invalid_argument, "{}: must be from {} to {}", key, duration_text(min),
                duration_text(max));
  }
  return {};
}

json::Value headers_json(const StringMap& headers) {
  json::Value out = json::array();
  for (const auto& [name, value] : headers) {
    out.push(json::object({{"name", name}, {"values", json::strings({value})}}));
  }
  return out;
}

Result<StringMap> headers_from(const json::Value& value) {
  StringMap out;
  const json::Value* list = value.find("headers");
  if (list == nullptr || list->is_null()) return out;
  if (!list->is_array()) return fail(Code::invalid_argument, "headers: expected a list");
  for (const json::Value& item : list->items()) {
    TRY_AS(const std::string name, item.require_string("name"), "headers");
    TRY_AS(const std::vector<std::string> values, item.optional_strings("values"), "headers");
    for (const std::string& one : values) out.emplace_back(name, one);
    if (out.size() > kMaxCheckHeaders) {
      return fail(Code::invalid_argument, "headers: more than {}", kMaxCheckHeaders);
    }
  }
  return out;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxCheckName &&
         std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

bool is_plain(std::string_view text, unsigned char least) {
  return text.size() <= kMaxCheckText &&
         std::ranges::all_of(text, [=](unsigned char c) { return c >= least && c < 0x7f; });
}

Result<void> validate_request(const Check& check) {
  if (std::ranges::count(kMethods, check.method) == 0) {
    return fail(Code::invalid_argument, "method: '{}' is not GET, HEAD, OPTIONS or POST",
                check.method);
  }
  if (!check.path.starts_with('/') || !is_plain(check.path, '!')) {
    return fail(Code::invalid_argument,
                "path: must begin with / and hold no spaces, at most {} bytes", kMaxCheckText);
  }
  for (const auto& [name, value] : check.headers) {
    if (!is_name(name) || !is_plain(value, ' ')) {
      return fail(Code::invalid_argument, "headers: '{}' is not a header that can be sent", name);
    }
  }
  if (!is_plain(check.tls_server_name, '!')) {
    return fail(Code::invalid_argument, "tls_server_name: not a host name");
  }
  return {};
}

Result<void> validate_check(const Check& check) {
  if (check.port == 0) return fail(Code::invalid_argument, "port: missing (there is no service)");
  TRY_VOID(validate_duration("interval", check.interval, 1s, kMaxInterval));
  TRY_VOID(validate_duration("timeout", check.timeout, 100ms, kMaxTimeout));
  TRY_VOID(validate_duration("grace_period", check.grace_period, 0s, kMaxGrace));
  return validate_request(check);
}

}  // namespace

json::Value to_json(const Check& check) {
  json::Value out = json::object({{"type", name_of(kTypes, check.type)},
                                  {"kind", name_of(kKinds, check.kind)},
                                  {"interval", duration_text(check.interval)},
                                  {"timeout", duration_text(check.timeout)},
                                  {"grace_period", duration_text(check.grace_period)}});
  if (check.port != 0) out.set("port", check.port);
  if (check.type == CheckType::tcp) return out;
  out.set("method", check.method);
  out.set("path", check.path);
  out.set("protocol", check.tls ? "https" : "http");
  if (!check.headers.empty()) out.set("headers", headers_json(check.headers));
  if (check.tls_skip_verify) out.set("tls_skip_verify", true);
  if (!check.tls_server_name.empty()) out.set("tls_server_name", check.tls_server_name);
  return out;
}

Result<Check> check_from(const json::Value& value) {
  constexpr EnumNames<bool, 2> kProtocols{{{false, "http"}, {true, "https"}}};
  Check check;
  TRY(check.type, enum_in(kTypes, value, "type", check.type));
  TRY(check.kind, enum_in(kKinds, value, "kind", check.kind));
  TRY(check.port, int_in(value, "port", 0, 0, 65535));
  TRY(check.interval, duration_in(value, "interval", check.interval));
  TRY(check.timeout, duration_in(value, "timeout", check.timeout));
  TRY(check.grace_period, duration_in(value, "grace_period", check.grace_period));
  if (check.type == CheckType::tcp) return check;
  TRY(std::string method, value.optional_string("method", check.method));
  std::ranges::transform(method, method.begin(), [](unsigned char c) { return std::toupper(c); });
  check.method = method.empty() ? check.method : std::move(method);
  TRY(std::string path, value.optional_string("path", check.path));
  if (!path.empty()) check.path = std::move(path);
  TRY(check.headers, headers_from(value));
  TRY(check.tls, enum_in(kProtocols, value, "protocol", false));
  TRY(check.tls_skip_verify, value.optional_bool("tls_skip_verify", false));
  TRY(check.tls_server_name, value.optional_string("tls_server_name"));
  return check;
}

json::Value to_json(const NamedChecks& checks) {
  json::Value out = json::object();
  for (const auto& [name, check] : checks) out.set(name, to_json(check));
  return out;
}

Result<NamedChecks> named_checks_from(const json::Value& config) {
  NamedChecks out;
  const json::Value* checks = config.find("checks");
  if (checks == nullptr || checks->is_null()) return out;
  if (!checks->is_object()) return fail(Code::invalid_argument, "checks: expected an object");
  for (const auto& [name, value] : checks->members()) {
    TRY_AS(Check check, check_from(value), fmt::format("checks.{}", name));
    out.emplace_back(name, std::move(check));
  }
  return out;
}

json::Value to_json(const CheckStatus& status) {
  return json::object({{"name", status.name},
                       {"status", name(status.status)},
                       {"output", status.output},
                       {"updated_at_ns", status.updated_at.ns}});
}

json::Value public_check(const CheckStatus& status) {
  return json::object({{"name", status.name},
                       {"status", name(status.status)},
                       {"output", status.output},
                       {"updated_at", to_rfc3339(status.updated_at)}});
}

Result<CheckStatus> check_status_from(const json::Value& value) {
  CheckStatus status;
  TRY(status.name, value.require_string("name"));
  TRY(status.status, enum_in(kHealth, value, "status", status.status));
  TRY(status.output, value.optional_string("output"));
  TRY(status.updated_at.ns, value.optional_int("updated_at_ns", 0));
  return status;
}

Result<void> validate_checks(const MachineConfig& config) {
  const std::vector<NamedCheck> all = checks_of(config);
  if (all.size() > kMaxChecks) {
    return fail(Code::invalid_argument, "checks: a machine has at most {}", kMaxChecks);
  }
  for (const NamedCheck& each : all) {
    if (!is_name(each.name)) {
      return fail(Code::invalid_argument,
                  "checks: '{}' is not a name (letters, digits, - _ . and at most {} of them)",
                  each.name, kMaxCheckName);
    }
    TRY_VOID_AS(validate_check(each.check), fmt::format("checks.{}", each.name));
  }
  return {};
}

}  // namespace perigee::model
