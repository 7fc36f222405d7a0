#include "config/http_options.h"

namespace perigee::config {
namespace {

Result<model::HeaderRule> read_rule(Section& headers, const std::string& name,
                                    const TomlValue& value) {
  model::HeaderRule rule{.name = name};
  const bool* flag = std::get_if<bool>(&value.data);
  if (flag != nullptr && !*flag) return rule;
  if (const std::string* text = value.string()) {
    rule.values.push_back(*text);
    return rule;
  }
  if (value.array() == nullptr || value.array()->empty()) {
    return headers.wrong(name, "expected false, a string or a list of strings");
  }
  TRY(const auto texts, headers.strings(name));
  rule.values = texts.value_or(std::vector<std::string>{});
  return rule;
}

Result<void> read_response(Section& section, model::HttpOptions& options) {
  TRY(auto response, section.section("response"));
  if (!response) return {};
  TRY(const auto pristine, response->boolean("pristine"));
  options.pristine = pristine.value_or(false);
  const TomlValue* table = response->value("headers");
  TRY(auto headers, response->section("headers"));
  response->warn_unknown();
  if (!headers) return {};
  for (const auto& [name, value] : *table->table()) {
    TRY(model::HeaderRule rule, read_rule(*headers, name, value));
    options.response_headers.push_back(std::move(rule));
  }
  return {};
}

Result<void> read_affinity(Section& section, model::HttpOptions& options) {
  TRY(auto affinity, section.section("affinity"));
  if (!affinity) return {};
  TRY(const auto cookie, affinity->string("cookie"));
  TRY(const auto header, affinity->string("header"));
  affinity->warn_unknown();
  if (cookie.has_value() == header.has_value()) {
    return section.wrong("affinity", "give cookie or header, one of both");
  }
  options.affinity = cookie ? model::Affinity{.kind = model::AffinityKind::cookie, .name = *cookie}
                            : model::Affinity{.kind = model::AffinityKind::header, .name = *header};
  return {};
}

}  // namespace

Result<model::HttpOptions> read_http_options(Section& holder) {
  model::HttpOptions options;
  TRY(auto section, holder.section("http_options"));
  if (!section) return options;
  TRY_VOID(section->refuse({"idle_timeout", "headers_read_timeout", "replay_cache"}));
  TRY(const auto h2_backend, section->boolean("h2_backend"));
  options.h2_backend = h2_backend.value_or(false);
  TRY(const auto compress, section->boolean("compress"));
  options.compress = compress.value_or(false);
  TRY_VOID(read_response(*section, options));
  TRY_VOID(read_affinity(*section, options));
  section->warn_unknown();
  return options;
}

}  // namespace perigee::config
