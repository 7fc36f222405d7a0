// Names: the hostname, /etc/hostname, /etc/hosts and /etc/resolv.conf of the app's root.
#pragma once

#include <string>

#include "channel/types.h"
#include "init/result.h"

namespace perigee::init {

// The files' contents; pure.
std::string hosts_file(const channel::Configure& configure);
std::string resolver_file(const channel::Configure& configure);

// Writes them. Where the host gave no name servers, the image's own resolv.conf stays.
Status configure_names(const channel::Configure& configure);

}  // namespace perigee::init
