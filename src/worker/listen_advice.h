// What to tell an app's owner when nothing answers at the app's port, from what the guest says that
// it listens on. Pure.
#pragma once

#include <string>
#include <vector>

#include "vm/guest_report.h"

namespace perigee::worker {

// "127.0.0.1:3000 (node), [::]:22"; empty: nothing. A bounded number of them.
std::string describe_sockets(const std::vector<vm::ListeningSocket>& sockets);

// "nothing is listening on port 8080; the app listens on 127.0.0.1:3000 (…what to do…)".
std::string listen_advice(int port, const std::vector<vm::ListeningSocket>& sockets);

}  // namespace perigee::worker
