// One connection of a Server: requests one after the other, each answered before the next is read.
// Private to http. A request passes through: await_head, parse, handle, settle (drain or close).
#pragma once

#include <memory>
#include <string>

#include "async/event.h"
#include "http/input.h"
#include "http/limits.h"
#include "http/message.h"
#include "sys/host.h"

namespace perigee::http {

// What the connections of a server share.
struct ServerContext {
  ServerContext(sys::Host& h, Handler& handler_, ServerLimits limits_);
  const std::string& date();  // of this second (RFC 9110 section 5.6.7)
  std::string next_request_id();

  sys::Host& host;
  Handler& handler;
  ServerLimits limits;
  async::Event draining;

 private:
  std::int64_t date_second_ = -1;
  std::string date_;
  std::string id_prefix_;
  std::uint32_t id_count_ = 0;
};

class ServerConnection {
 public:
  enum class Security { plain, tls };
  ServerConnection(ServerContext& context, std::unique_ptr<sys::Stream> stream, Security security);
  async::Task<void> run();

 private:
  friend class Writer;
  friend class RequestBody;
  enum class Next { request, close, linger };

  async::Task<Next> serve_one();
  async::Task<bool> await_first_byte();
  async::Task<std::optional<std::size_t>> await_head();
  async::Task<void> fill();
  async::Task<Next> handle(RequestHead head, Framing framing);
  async::Task<Next> settle(class Writer& writer, BodyReader& body, bool awaits_continue);
  async::Task<void> refuse(Malformed malformed);
  async::Task<Result<void>> write(std::string_view data);
  std::unique_ptr<sys::Stream> take_stream();
  async::Task<Result<void>> discard(Body& body);
  async::Task<void> linger();
  async::Task<void> peer_gone();

  ServerContext& context_;
  std::unique_ptr<sys::Stream> stream_;
  Security security_;
  Input input_;
  sys::Address peer_;
  std::optional<std::uint32_t> peer_uid_;
  std::optional<crypto::PeerIdentity> peer_identity_;
};

}  // namespace perigee::http
