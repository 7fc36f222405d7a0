#include "model/shared_ports.h"

#include <set>

#include "model/limits.h"

namespace perigee::model {
namespace {

constexpr int kHttpPort = 80;
constexpr int kHttpsPort = 443;

bool is_by_name(const Port& port, int number) {
  if (number == kHttpPort) return port.has(Handler::http);
  return number == kHttpsPort && !port.has(Handler::pg_tls);
}

Result<void> add_ports(std::set<std::string>& out, const Service& service, const Port& port) {
  const bool tcp = service.protocol == Protocol::tcp;
  for (int number = port.port; number <= port.last(); ++number) {
    if (tcp && is_by_name(port, number)) continue;
    if (tcp && (number == kHttpPort || number == kHttpsPort)) {
      return fail(Code::conflict, "port {} without a name to go by can't be shared by apps",
                  number);
    }
    out.insert(fmt::format("{}/{}", name(service.protocol), number));
    if (out.size() > kMaxSharedPorts) {
      return fail(Code::conflict, "more than {} ports at addresses that apps share",
                  kMaxSharedPorts);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> shared_ports_of(const std::vector<Service>& services) {
  std::set<std::string> out;
  for (const Service& service : services) {
    for (const Port& port : service.ports) TRY_VOID(add_ports(out, service, port));
  }
  return std::vector<std::string>(out.begin(), out.end());
}

}  // namespace perigee::model
