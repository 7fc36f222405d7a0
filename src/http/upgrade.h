// A client's change from HTTP to another protocol on the same connection (RFC 9110 section 7.8).
//
//   head.headers.set("Upgrade", "perigee-exec/1");
//   CO_TRY(auto answer, co_await http::upgrade(host, address, head, deadline));
//   if (!answer.stream) …   // refused: answer.head and answer.body say why
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "http/message.h"
#include "sys/host.h"

namespace perigee::http {

inline constexpr std::size_t kMaxRefusal = 64 * 1024;  // bytes of a refusal's body

struct UpgradeAnswer {
  ResponseHead head;
  std::unique_ptr<sys::Stream> stream;  // the connection in its new protocol; null: refused
  std::string body;                     // of a refusal
};

// On a connection of its own. `deadline` covers all of it.
async::Task<Result<UpgradeAnswer>> upgrade(sys::Host& host, sys::Address to, RequestHead head,
                                           Deadline deadline);

// The same on a connection that is there, to whoever is at its other end.
async::Task<Result<UpgradeAnswer>> upgrade(async::Loop& loop, std::unique_ptr<sys::Stream> stream,
                                           RequestHead head, Deadline deadline);

// What a request asks to change to; empty: nothing.
std::string requested_protocol(const RequestHead& head);
// Whether a request asks to change to `protocol`.
bool asks_for_upgrade(const RequestHead& head, std::string_view protocol);

}  // namespace perigee::http
