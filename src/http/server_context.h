// What the connections of one Server share, whichever version of HTTP they speak. Owned by the
// server, which its connections do not outlive; on the loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "async/event.h"
#include "http/idle.h"
#include "http/limits.h"
#include "http/message.h"
#include "sys/host.h"

namespace perigee::http {

struct ServerContext {
  ServerContext(sys::Host& h, Handler& handler_, ServerLimits limits_);
  const std::string& date();  // of this second (RFC 9110 section 5.6.7)
  std::string next_request_id();

  sys::Host& host;
  Handler& handler;
  ServerLimits limits;
  async::Event draining;  // nothing more is accepted, and each answer says that it is the last
  IdleConnections idle;

 private:
  std::int64_t date_second_ = -1;
  std::string date_;
  std::string id_prefix_;
  std::uint32_t id_count_ = 0;
};

}  // namespace perigee::http
