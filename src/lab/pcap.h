// A capture file as tcpdump and Wireshark read it (pcap, nanoseconds, Ethernet): bytes, no I/O.
//   https://www.tcpdump.org/manpages/pcap-savefile.5.html
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace perigee::lab {

std::string pcap_header();
// `frame` begins with Ethernet's header. Whole frames are kept.
std::string pcap_record(WallTime time, std::string_view frame);

}  // namespace perigee::lab
