// What a process tells the service manager that started it, if that listens (sd_notify(3)):
//
//   tell_service_manager("READY=1");
//   tell_service_manager("MAINPID=4711");    // from now on that process is the service
#pragma once

#include <string_view>

namespace perigee::sys {

// Nothing where NOTIFY_SOCKET names nobody.
void tell_service_manager(std::string_view text);

}  // namespace perigee::sys
