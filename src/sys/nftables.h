// nftables(8): rules are loaded as one transaction, through Debian's nft.
#pragma once

#include <string>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"

namespace perigee::sys {

// `rules` as nft reads them. SAFETY: needs CAP_NET_ADMIN, for this network namespace.
async::Task<Result<void>> load_nftables(Host& host, std::string rules);

}  // namespace perigee::sys
