// JSON of a service's ports, in the Machines API's shape.
#include "model/http_options.h"
#include "model/json_parts.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

constexpr int kMaxPort = 65535;
constexpr EnumNames<Protocol, 2> kProtocols{{{Protocol::tcp, "tcp"}, {Protocol::udp, "udp"}}};
constexpr EnumNames<Handler, 4> kHandlers{{{Handler::http, "http"},
                                           {Handler::tls, "tls"},
                                           {Handler::proxy_proto, "proxy_proto"},
                                           {Handler::pg_tls, "pg_tls"}}};
constexpr EnumNames<TlsVersion, 2> kTlsVersions{
    {{TlsVersion::v1_2, "TLSv1.2"}, {TlsVersion::v1_3, "TLSv1.3"}}};
constexpr EnumNames<ProxyVersion, 2> kProxyVersions{
    {{ProxyVersion::v1, "v1"}, {ProxyVersion::v2, "v2"}}};

json::Value to_json(const TlsOptions& tls) {
  json::Value versions = json::array();
  for (const TlsVersion version : tls.versions) versions.push(name_of(kTlsVersions, version));
  return json::object({{"alpn", json::strings(tls.alpn)}, {"versions", std::move(versions)}});
}

template <typename E, std::size_t N>
Result<std::vector<E>> enums_in(const EnumNames<E, N>& names, const json::Value& value,
                                std::string_view key) {
  TRY(const std::vector<std::string> texts, value.optional_strings(key));
  std::vector<E> out;
  for (const std::string& text : texts) {
    TRY_AS(const E one, parse_enum(names, text), key);
    out.push_back(one);
  }
  return out;
}

Result<TlsOptions> tls_from(const json::Value& value) {
  TlsOptions tls;
  TRY(tls.alpn, value.optional_strings("alpn"));
  TRY(tls.versions, enums_in(kTlsVersions, value, "versions"));
  TRY(const bool self_signed, value.optional_bool("default_self_signed", false));
  if (self_signed) {
    return fail(Code::unsupported, "default_self_signed: a port shows its app's certificate");
  }
  return tls;
}

bool is_there(const json::Value* member) {
  return member != nullptr && !member->is_null();
}

}  // namespace

json::Value to_json(const Port& port) {
  json::Value handlers = json::array();
  for (const Handler handler : port.handlers) handlers.push(name_of(kHandlers, handler));
  json::Value out = json::object();
  if (port.end_port == 0) {
    out.set("port", port.port);
  } else {
    out.set("start_port", port.port);
    out.set("end_port", port.end_port);
  }
  out.set("handlers", std::move(handlers));
  out.set("force_https", port.force_https);
  if (port.http_options != HttpOptions()) out.set("http_options", to_json(port.http_options));
  if (port.tls != TlsOptions()) out.set("tls_options", to_json(port.tls));
  if (port.has(Handler::proxy_proto)) {
    out.set("proxy_proto_options",
            json::object({{"version", name_of(kProxyVersions, port.proxy_version)}}));
  }
  return out;
}

Result<Port> port_from(const json::Value& value) {
  Port port;
  if (is_there(value.find("start_port")) || is_there(value.find("end_port"))) {
    if (is_there(value.find("port"))) {
      return fail(Code::invalid_argument, "port: give it or start_port and end_port, not both");
    }
    TRY(port.port, int_in(value, "start_port", 0, 1, kMaxPort));
    TRY(port.end_port, int_in(value, "end_port", 0, 1, kMaxPort));
  } else {
    TRY(port.port, int_in(value, "port", 0, 1, kMaxPort));
  }
  TRY(port.handlers, enums_in(kHandlers, value, "handlers"));
  TRY(port.force_https, value.optional_bool("force_https", false));
  if (const json::Value* http = value.find("http_options"); is_there(http)) {
    TRY_AS(port.http_options, http_options_from(*http), "http_options");
  }
  if (const json::Value* tls = value.find("tls_options"); is_there(tls)) {
    TRY_AS(port.tls, tls_from(*tls), "tls_options");
  }
  if (const json::Value* proxy = value.find("proxy_proto_options"); is_there(proxy)) {
    TRY_AS(port.proxy_version, enum_in(kProxyVersions, *proxy, "version", ProxyVersion::v1),
           "proxy_proto_options");
  }
  return port;
}

Result<Protocol> protocol_in(const json::Value& service) {
  return enum_in(kProtocols, service, "protocol", Protocol::tcp);
}

}  // namespace perigee::model
