// What users' TCP connections come to, counted: for the router's status.
#pragma once

#include <cstdint>

namespace perigee::router {

struct TcpCounters {
  std::uint64_t accepted = 0;
  std::uint64_t passed_on = 0;        // to a machine
  std::uint64_t to_http = 0;          // handed to HTTP
  std::uint64_t no_service = 0;       // to a port that is no app's: closed
  std::uint64_t failed_openings = 0;  // TLS, pg_tls or a PROXY header did not come about
  std::uint64_t unplaced = 0;         // no machine took it
  std::uint64_t too_many = 0;         // in all, or of one client
  std::uint64_t idle = 0;             // ended because nothing was said
  std::uint64_t to_users = 0;         // bytes
  std::uint64_t to_machines = 0;      // bytes
};

}  // namespace perigee::router
