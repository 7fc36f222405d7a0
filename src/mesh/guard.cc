#include "mesh/guard.h"

#include <fmt/format.h>

#include <algorithm>

#include "sys/nftables.h"

namespace perigee::mesh {
namespace {

// "pgw-3f00aa12": "perigee_pgw_3f00aa12", since a table's name has no hyphen.
std::string table_of(std::string interface) {
  std::ranges::replace(interface, '-', '_');
  return "perigee_" + interface;
}

// Declared, so that the deletion can't fail.
std::string without(const std::string& table) {
  return fmt::format("table inet {0}\ndelete table inet {0}\n", table);
}

}  // namespace

// "pg*": meshes (pgw-…) and machines' taps (pg-…), of other nodes on this host too.
std::string guard_rules(const std::string& interface, const Prefix& fleet) {
  const std::string table = table_of(interface);
  return without(table) + fmt::format(R"(table inet {0} {{
  chain prerouting {{
    type filter hook prerouting priority raw - 5; policy accept;
    iifname "lo" return
    iifname "pg*" return
    ip6 saddr {1} drop
    ip6 daddr {1} drop
  }}
}}
)",
                                      table, fleet.str());
}

async::Task<Result<void>> raise_guard(sys::Host& host, std::string interface, Prefix fleet) {
  auto done = co_await sys::load_nftables(host, guard_rules(interface, fleet));
  if (!done) co_return fail(std::move(done).error().with("firewall for the mesh"));
  co_return done;
}

async::Task<Result<void>> lower_guard(sys::Host& host, std::string interface) {
  co_return co_await sys::load_nftables(host, without(table_of(std::move(interface))));
}

}  // namespace perigee::mesh
