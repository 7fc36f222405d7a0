#include "model/port.h"

#include <optional>

#include "model/http_options.h"
#include "model/limits.h"
#include "model/types.h"

namespace perigee::model {
namespace {

constexpr int kMaxPort = 65535;
constexpr std::size_t kMaxAlpnBytes = 255;  // RFC 7301

std::string text_of(const Port& port) {
  return port.end_port == 0 ? fmt::format("port {}", port.port)
                            : fmt::format("ports {}-{}", port.port, port.end_port);
}

// What is wrong with the handlers, as the end of a sentence about the port.
std::optional<std::string> complaint(const Port& port, Protocol protocol) {
  const bool http = port.has(Handler::http);
  const bool ends_tls = port.has(Handler::tls) || port.has(Handler::pg_tls);
  if (protocol == Protocol::udp && !port.handlers.empty()) {
    return "udp has no handlers: datagrams go to the machine as they are";
  }
  for (const Handler handler : port.handlers) {
    if (std::ranges::count(port.handlers, handler) > 1) return "a handler is given twice";
  }
  if (port.has(Handler::pg_tls) && http) return "pg_tls is of PostgreSQL, which is no http";
  if (port.has(Handler::pg_tls) && port.has(Handler::tls)) return "pg_tls starts TLS itself";
  if (port.has(Handler::proxy_proto) && http) {
    return "http tells the client's address in headers, not by proxy_proto";
  }
  if (port.http_options.h2_backend && !http) return "h2_backend needs the http handler";
  if (port.http_options != HttpOptions() && !http) return "http_options need the http handler";
  if (port.force_https && !http) return "force_https needs the http handler";
  if (port.tls != TlsOptions() && http) {
    return "tls_options beside the http handler are not supported: http has its own";
  }
  if (port.tls != TlsOptions() && !ends_tls) return "tls_options need the tls or pg_tls handler";
  if (port.proxy_version != ProxyVersion::v1 && !port.has(Handler::proxy_proto)) {
    return "proxy_proto_options need the proxy_proto handler";
  }
  return std::nullopt;
}

Result<void> validate_tls(const Port& port) {
  if (port.tls.alpn.size() > kMaxAlpn) {
    return fail(Code::invalid_argument, "services: {}: more than {} names of alpn", text_of(port),
                kMaxAlpn);
  }
  for (const std::string& each : port.tls.alpn) {
    if (!each.empty() && each.size() <= kMaxAlpnBytes) continue;
    return fail(Code::invalid_argument, "services: {}: '{}' is no name for alpn", text_of(port),
                each);
  }
  return {};
}

Result<void> validate_port(const Port& port, Protocol protocol) {
  const bool numbered = port.port >= 1 && port.last() >= port.port && port.last() <= kMaxPort;
  if (!numbered) {
    return fail(Code::invalid_argument, "services: {}: expected ports from 1 to {}, in order",
                text_of(port), kMaxPort);
  }
  if (const auto wrong = complaint(port, protocol)) {
    return fail(Code::invalid_argument, "services: {}: {}", text_of(port), *wrong);
  }
  TRY_VOID_AS(validate_http_options(port.http_options),
              fmt::format("services: {}: http_options", text_of(port)));
  return validate_tls(port);
}

Result<void> validate_apart(const Port& a, const Port& b, Protocol protocol) {
  if (a.last() < b.port || b.last() < a.port) return {};
  if (a.port == b.port && a.last() == b.last()) {
    return fail(Code::invalid_argument, "services: {} is given twice", text_of(a));
  }
  return fail(Code::invalid_argument, "services: {} and {} of {} overlap", text_of(a), text_of(b),
              name(protocol));
}

// A machine's port speaks one protocol, whichever port of ours users come in by.
Result<void> validate_backend(const Service& service) {
  const Port* first = nullptr;
  for (const Port& port : service.ports) {
    if (!port.has(Handler::http)) continue;
    if (first == nullptr) first = &port;
    if (port.http_options.h2_backend == first->http_options.h2_backend) continue;
    return fail(Code::invalid_argument,
                "services: {}: h2_backend differs from that of the service's other ports; "
                "the app's port {} speaks one protocol",
                text_of(port), service.internal_port);
  }
  return {};
}

}  // namespace

std::string_view name(Protocol protocol) {
  return protocol == Protocol::udp ? "udp" : "tcp";
}

Result<void> validate_ports(const std::vector<Service>& services) {
  std::vector<std::pair<Protocol, const Port*>> seen;
  for (const Service& service : services) {
    TRY_VOID(validate_backend(service));
    for (const Port& port : service.ports) {
      TRY_VOID(validate_port(port, service.protocol));
      for (const auto& [protocol, other] : seen) {
        if (protocol == service.protocol) TRY_VOID(validate_apart(*other, port, protocol));
      }
      seen.emplace_back(service.protocol, &port);
    }
  }
  return {};
}

}  // namespace perigee::model
