#include "sys/nftables.h"

#include <utility>

namespace perigee::sys {
namespace {

constexpr Duration kTimeout = 20s;

}  // namespace

async::Task<Result<void>> load_nftables(Host& host, std::string rules) {
  const Spawn spawn{.argv = {"nft", "-f", "-"}};
  CO_TRY(const Completed done,
         co_await host.processes.run(spawn, std::move(rules), host.loop.deadline_in(kTimeout)));
  if (!done.status.success()) co_return fail(helper_failed(spawn, done));
  co_return Result<void>();
}

}  // namespace perigee::sys
