#include "vm/firewall.h"

#include "vm/driver.h"
#include "vm/names.h"

namespace perigee::vm {
namespace {

constexpr Duration kNftTimeout = 10s;

async::Task<Result<void>> load(sys::Host& host, std::string rules) {
  const sys::Spawn spawn{.argv = {"nft", "-f", "-"}};
  CO_TRY(const sys::Completed done,
         co_await host.processes.run(spawn, std::move(rules), host.loop.deadline_in(kNftTimeout)));
  if (!done.status.success()) co_return fail(sys::helper_failed(spawn, done));
  co_return Result<void>();
}

}  // namespace

std::string firewall_table(std::string_view root) {
  return fmt::format("perigee_{:08x}", static_cast<std::uint32_t>(stable_hash(root)));
}

// One transaction: the table is declared (so that the deletion can't fail), deleted and made anew;
// there is no moment without rules. `fib saddr . iif oif`: the address must be the one that is
// routed to the tap that the packet came from. What is sent to a machine that is gone is refused
// here: without its tap the default route would carry it off this host, where anyone may answer.
std::string firewall_rules(const FirewallSettings& settings) {
  return fmt::format(R"(table inet {0}
delete table inet {0}
table inet {0} {{
  chain vm {{
    ip saddr {2} fib saddr . iif oif missing drop
    ct state established,related accept
    drop
  }}
  chain gone {{
    meta l4proto tcp reject with tcp reset
    reject with icmp type host-unreachable
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname "{1}*" jump vm
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname "{1}*" jump vm
    ip daddr {2} oifname != "{1}*" jump gone
  }}
  chain output {{
    type filter hook output priority filter - 10; policy accept;
    ip daddr {2} oifname != "{1}*" jump gone
  }}
}}
)",
                     settings.table, kTapPrefix, settings.network);
}

async::Task<Result<void>> ensure_firewall(sys::Host& host, FirewallSettings settings) {
  auto done = co_await load(host, firewall_rules(settings));
  if (!done) co_return fail(std::move(done).error().with("firewall for VMs"));
  co_return done;
}

async::Task<Result<void>> remove_firewall(sys::Host& host, std::string table) {
  co_return co_await load(host, fmt::format("table inet {0}\ndelete table inet {0}\n", table));
}

}  // namespace perigee::vm
