// Port claims: which ports of the nodes' own addresses are one app's. An app without an address of
// its own is reached there: on 80 and 443 by host name, together with all others; on every other
// port alone, the first that wants it (docs/decisions/0031-ports.md). Each claim has a key of its
// own in the store, made in the transaction that makes it: so not even two control nodes at one
// moment give a port to two apps.
#pragma once

#include <vector>

#include "control/context.h"

namespace perigee::control {

// Has `app` claim, in this transaction, what a configuration needs beside what already runs of it,
// and give up what it no longer needs. `conflict` where a port is another app's and this one has no
// address of its own. The caller puts `app`.
Result<void> claim_ports(const Context& context, store::Transaction& transaction, model::App& app,
                         const std::vector<model::Service>& wanted);
// Gives up all, as an app goes.
void release_ports(store::Transaction& transaction, const model::App& app);

}  // namespace perigee::control
