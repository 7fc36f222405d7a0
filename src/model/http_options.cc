#include "model/http_options.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

// Fields that frame a message or belong to one connection: an app's rule would break it.
constexpr std::array<std::string_view, 11> kOwnFields{
    "connection", "content-encoding", "content-length", "keep-alive",        "proxy-authenticate",
    "te",         "trailer",          "upgrade",        "transfer-encoding", "proxy-connection",
    "date"};

bool is_own(std::string_view name) {
  const std::string lower = to_lower(name);
  return lower.starts_with("perigee-hop-") || std::ranges::count(kOwnFields, lower) > 0;
}

Result<void> validate_name(std::string_view name) {
  if (is_field_name(name) && name.size() <= kMaxHeaderName) return {};
  return fail(Code::invalid_argument, "'{}' is no header's name of at most {} characters", name,
              kMaxHeaderName);
}

Result<void> validate_rule(const HeaderRule& rule) {
  TRY_VOID(validate_name(rule.name));
  if (is_own(rule.name)) {
    return fail(Code::invalid_argument, "{} is the router's own", rule.name);
  }
  if (rule.values.size() > kMaxHeaderValues) {
    return fail(Code::invalid_argument, "{}: more than {} values", rule.name, kMaxHeaderValues);
  }
  for (const std::string& value : rule.values) {
    if (is_field_value(value) && value.size() <= kMaxHeaderValue) continue;
    return fail(Code::invalid_argument,
                "{}: a value must be at most {} characters without line breaks", rule.name,
                kMaxHeaderValue);
  }
  return {};
}

json::Value rule_json(const HeaderRule& rule) {
  if (rule.values.empty()) return false;
  if (rule.values.size() == 1) return rule.values.front();
  return json::strings(rule.values);
}

Result<HeaderRule> rule_from(const std::string& name, const json::Value& value) {
  HeaderRule rule{.name = name};
  if (value.boolean() == false) return rule;
  const json::Array one{value};
  const json::Array& all = value.is_array() ? value.items() : one;
  for (const json::Value& each : all) {
    if (!each.is_string()) {
      return fail(Code::invalid_argument, "{}: expected false, a string or a list of strings",
                  name);
    }
    rule.values.push_back(*each.string());
  }
  if (rule.values.empty()) {
    return fail(Code::invalid_argument, "{}: an empty list; false removes it", name);
  }
  return rule;
}

json::Value response_json(const HttpOptions& options) {
  json::Value headers = json::object();
  for (const HeaderRule& rule : options.response_headers) headers.set(rule.name, rule_json(rule));
  return json::object({{"headers", std::move(headers)}, {"pristine", options.pristine}});
}

Result<void> read_response(const json::Value& value, HttpOptions& options) {
  TRY(options.pristine, value.optional_bool("pristine", false));
  const json::Value* headers = value.find("headers");
  if (headers == nullptr || headers->is_null()) return {};
  if (!headers->is_object()) {
    return fail(Code::invalid_argument, "headers: expected an object");
  }
  for (const auto& [name, each] : headers->members()) {
    TRY_AS(HeaderRule rule, rule_from(name, each), "headers");
    options.response_headers.push_back(std::move(rule));
  }
  return {};
}

Result<Affinity> affinity_from(const json::Value& value) {
  TRY(const std::string cookie, value.optional_string("cookie"));
  TRY(const std::string header, value.optional_string("header"));
  if (cookie.empty() == header.empty()) {
    return fail(Code::invalid_argument, "give cookie or header, one of both");
  }
  if (!cookie.empty()) return Affinity{.kind = AffinityKind::cookie, .name = cookie};
  return Affinity{.kind = AffinityKind::header, .name = header};
}

}  // namespace

bool is_field_name(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || kMarks.find(c) != std::string_view::npos;
  });
}

// No control characters, and no blanks around it, which nobody would see.
bool is_field_value(std::string_view text) {
  return trim(text) == text && std::ranges::all_of(text, [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return c == '\t' || (byte >= 0x20 && byte != 0x7f);
         });
}

json::Value to_json(const HttpOptions& options) {
  json::Value out = json::object();
  if (options.h2_backend) out.set("h2_backend", true);
  if (options.compress) out.set("compress", true);
  if (options.pristine || !options.response_headers.empty()) {
    out.set("response", response_json(options));
  }
  if (options.affinity.kind != AffinityKind::none) {
    const bool cookie = options.affinity.kind == AffinityKind::cookie;
    out.set("affinity", json::object({{cookie ? "cookie" : "header", options.affinity.name}}));
  }
  return out;
}

Result<HttpOptions> http_options_from(const json::Value& value) {
  HttpOptions options;
  TRY(options.h2_backend, value.optional_bool("h2_backend", false));
  TRY(options.compress, value.optional_bool("compress", false));
  if (const json::Value* response = value.find("response");
      response != nullptr && !response->is_null()) {
    TRY_VOID_AS(read_response(*response, options), "response");
  }
  if (const json::Value* affinity = value.find("affinity");
      affinity != nullptr && !affinity->is_null()) {
    TRY_AS(options.affinity, affinity_from(*affinity), "affinity");
  }
  return options;
}

Result<void> validate_http_options(const HttpOptions& options) {
  if (options.response_headers.size() > kMaxHeaderRules) {
    return fail(Code::invalid_argument, "response.headers: more than {}", kMaxHeaderRules);
  }
  for (const HeaderRule& rule : options.response_headers) {
    TRY_VOID_AS(validate_rule(rule), "response.headers");
  }
  if (options.affinity.kind == AffinityKind::none) return {};
  TRY_VOID_AS(validate_name(options.affinity.name), "affinity");
  return {};
}

}  // namespace perigee::model
