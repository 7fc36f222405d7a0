#include "config/port_config.h"

#include <array>
#include <utility>

#include "base/text.h"
#include "config/http_options.h"

namespace perigee::config {
namespace {

constexpr std::uint64_t kMaxPort = 65535;

template <typename E, std::size_t N>
using Words = std::array<std::pair<std::string_view, E>, N>;

constexpr Words<model::Protocol, 2> kProtocols{
    {{"tcp", model::Protocol::tcp}, {"udp", model::Protocol::udp}}};
constexpr Words<model::Handler, 4> kHandlers{{{"http", model::Handler::http},
                                              {"tls", model::Handler::tls},
                                              {"proxy_proto", model::Handler::proxy_proto},
                                              {"pg_tls", model::Handler::pg_tls}}};
constexpr Words<model::TlsVersion, 2> kTlsVersions{
    {{"TLSv1.2", model::TlsVersion::v1_2}, {"TLSv1.3", model::TlsVersion::v1_3}}};
constexpr Words<model::ProxyVersion, 2> kProxyVersions{
    {{"v1", model::ProxyVersion::v1}, {"v2", model::ProxyVersion::v2}}};

template <typename E, std::size_t N>
Result<E> word_in(const Section& section, std::string_view key, const Words<E, N>& words,
                  std::string_view text) {
  std::vector<std::string> known;
  for (const auto& [word, value] : words) {
    if (word == text) return value;
    known.emplace_back(word);
  }
  return section.wrong(key, fmt::format("'{}' is not one of {}", text, join(known, ", ")));
}

// A number, or a string as fly.toml had it in 2020.
Result<int> read_number(Section& section, std::string_view key) {
  const TomlValue* value = section.value(key);
  if (value == nullptr) return section.wrong(key, "missing");
  std::optional<std::uint64_t> number;
  if (const std::string* text = value->string()) number = parse_uint(*text, kMaxPort);
  if (const auto* whole = std::get_if<std::int64_t>(&value->data); whole != nullptr && *whole > 0) {
    number = static_cast<std::uint64_t>(*whole);
  }
  if (!number || *number == 0 || *number > kMaxPort) {
    return section.wrong(key, "expected a port from 1 to 65535");
  }
  return static_cast<int>(*number);
}

Result<void> read_numbers(Section& section, model::Port& port) {
  if (!section.has("start_port") && !section.has("end_port")) {
    TRY(port.port, read_number(section, "port"));
    return {};
  }
  if (section.has("port")) {
    return section.wrong("port", "give port, or start_port and end_port, not both");
  }
  TRY(port.port, read_number(section, "start_port"));
  TRY(port.end_port, read_number(section, "end_port"));
  if (port.end_port < port.port) {
    return section.wrong("end_port",
                         fmt::format("{} is below start_port {}", port.end_port, port.port));
  }
  return {};
}

Result<void> read_handlers(Section& section, model::Port& port) {
  TRY(const auto handlers, section.strings("handlers"));
  for (const std::string& text : handlers.value_or(std::vector<std::string>{})) {
    TRY(const model::Handler handler, word_in(section, "handlers", kHandlers, text));
    port.handlers.push_back(handler);
  }
  return {};
}

Result<void> read_tls(Section& section, model::Port& port) {
  TRY(auto tls, section.section("tls_options"));
  if (!tls) return {};
  TRY_VOID(tls->refuse({"default_self_signed"}));
  TRY(auto alpn, tls->strings("alpn"));
  if (alpn) port.tls.alpn = *std::move(alpn);
  TRY(const auto versions, tls->strings("versions"));
  for (const std::string& text : versions.value_or(std::vector<std::string>{})) {
    TRY(const model::TlsVersion version, word_in(*tls, "versions", kTlsVersions, text));
    port.tls.versions.push_back(version);
  }
  tls->warn_unknown();
  return {};
}

Result<void> read_proxy_version(Section& section, model::Port& port) {
  TRY(auto options, section.section("proxy_proto_options"));
  if (!options) return {};
  TRY(const auto version, options->string("version"));
  TRY(port.proxy_version, word_in(*options, "version", kProxyVersions, version.value_or("v1")));
  options->warn_unknown();
  return {};
}

Result<model::Port> read_port(Section& section) {
  model::Port port;
  TRY_VOID(read_numbers(section, port));
  TRY_VOID(read_handlers(section, port));
  TRY_VOID(read_tls(section, port));
  TRY_VOID(read_proxy_version(section, port));
  TRY(const auto force, section.boolean("force_https"));
  port.force_https = force.value_or(false);
  TRY(port.http_options, read_http_options(section));
  section.warn_unknown();
  return port;
}

}  // namespace

Result<model::Protocol> read_protocol(Section& service) {
  TRY(const auto protocol, service.string("protocol"));
  return word_in(service, "protocol", kProtocols, protocol.value_or("tcp"));
}

Result<std::vector<model::Port>> read_ports(Section& service) {
  TRY(auto sections, service.sections("ports"));
  std::vector<model::Port> ports;
  for (Section& section : sections) {
    TRY(model::Port port, read_port(section));
    ports.push_back(std::move(port));
  }
  return ports;
}

}  // namespace perigee::config
