#include "config/check_config.h"

#include <algorithm>

namespace perigee::config {
namespace {

// A duration, or milliseconds as a number: fly.toml's checks had those in 2020.
Result<void> read_time(Section& section, std::string_view key, Duration& into) {
  const TomlValue* value = section.value(key);
  if (value == nullptr) return {};
  if (const auto* ms = std::get_if<std::int64_t>(&value->data)) {
    into = std::chrono::milliseconds(*ms);
    return {};
  }
  TRY(const auto duration, section.duration(key));
  if (duration) into = *duration;
  return {};
}

Result<void> read_request(Section& section, model::Check& check) {
  TRY(auto method, section.string("method"));
  TRY(auto path, section.string("path"));
  TRY(const auto protocol, section.string("protocol"));
  TRY(const auto skip, section.boolean("tls_skip_verify"));
  TRY(auto server_name, section.string("tls_server_name"));
  TRY(check.headers, section.string_map("headers"));
  if (protocol && *protocol != "http" && *protocol != "https") {
    return section.wrong("protocol", fmt::format("'{}' is not http or https", *protocol));
  }
  if (method) {
    check.method = *std::move(method);
    std::ranges::transform(check.method, check.method.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; });
  }
  if (path) check.path = *std::move(path);
  check.tls = protocol == "https";
  check.tls_skip_verify = skip.value_or(false);
  if (server_name) check.tls_server_name = *std::move(server_name);
  return {};
}

// Bounds are those of the model, told with file and line.
Result<model::Check> read_check(Section& section, model::CheckType type) {
  TRY_VOID(section.refuse({"processes"}));
  model::Check check{.type = type};
  TRY(const auto port, section.integer("port", 1, 65535));
  if (port) check.port = static_cast<int>(*port);
  TRY_VOID(read_time(section, "interval", check.interval));
  TRY_VOID(read_time(section, "timeout", check.timeout));
  TRY_VOID(read_time(section, "grace_period", check.grace_period));
  if (type == model::CheckType::http) TRY_VOID(read_request(section, check));
  return check;
}

}  // namespace

Result<std::vector<model::Check>> read_checks(Section& service, std::string_view key,
                                              model::CheckType type) {
  std::vector<model::Check> out;
  TRY(auto sections, service.sections(key));
  for (Section& section : sections) {
    TRY(model::Check check, read_check(section, type));
    section.warn_unknown();
    out.push_back(std::move(check));
  }
  return out;
}

Result<std::vector<std::pair<std::string, model::Check>>> read_named_checks(Section& top) {
  std::vector<std::pair<std::string, model::Check>> out;
  const TomlValue* value = top.value("checks");
  if (value == nullptr) return out;
  TRY(auto checks, top.section("checks"));
  for (const auto& [name, table] : *value->table()) {
    TRY(auto section, checks->section(name));
    TRY(const auto type, section->string("type"));
    if (type && *type != "tcp" && *type != "http") {
      return section->wrong("type", fmt::format("'{}' is not tcp or http", *type));
    }
    const bool http = type == "http" || (!type && section->has("path"));
    TRY(model::Check check,
        read_check(*section, http ? model::CheckType::http : model::CheckType::tcp));
    TRY(const auto kind, section->string("kind"));
    if (kind && *kind != "informational" && *kind != "readiness") {
      return section->wrong("kind", fmt::format("'{}' is not informational or readiness", *kind));
    }
    if (kind == "readiness") check.kind = model::CheckKind::readiness;
    section->warn_unknown();
    out.emplace_back(name, std::move(check));
  }
  return out;
}

}  // namespace perigee::config
