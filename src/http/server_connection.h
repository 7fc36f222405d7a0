// One connection of a Server: requests one after the other, each answered before the next is read.
// Private to http. A request passes through: await_head, parse, handle, settle (drain or close).
//
// A connection may begin with what another protocol begins with: `run` then ends before anything of
// it has been answered, and `take_other` gives it to whoever speaks that.
#pragma once

#include <memory>
#include <string>

#include "http/input.h"
#include "http/protocol.h"
#include "http/server_context.h"

namespace perigee::http {

class ServerConnection {
 public:
  // `preface`: the head that another protocol's connections begin with; empty: there is none.
  ServerConnection(ServerContext& context, std::unique_ptr<sys::Stream> stream, Security security,
                   std::string_view preface = {});
  async::Task<void> run();
  // The connection, where it turned out to speak the other protocol.
  std::optional<Accepted> take_other();

 private:
  friend class Writer;
  friend class RequestBody;
  enum class Next { request, close, linger, other_protocol };

  // A frame of its own: the compiler would put it, and all that a request needs, into that of run,
  // which an idle connection keeps.
  [[gnu::noinline]] async::Task<Next> serve_one();
  async::Task<bool> await_first_byte();
  async::Task<std::optional<std::size_t>> await_head();
  async::Task<Next> handle(RequestHead head, Framing framing);
  async::Task<Next> settle(class Writer& writer, BodyReader& body, bool awaits_continue);
  async::Task<void> refuse(Malformed malformed);
  async::Task<Result<void>> write(std::string_view data);
  std::unique_ptr<sys::Stream> take_stream();
  async::Task<Result<void>> discard(Body& body);
  [[gnu::noinline]] async::Task<void> linger();
  async::Task<void> peer_gone();

  ServerContext& context_;
  std::unique_ptr<sys::Stream> stream_;
  Security security_;
  std::string_view preface_;  // until the first head
  bool other_ = false;
  Input input_;
  sys::Address peer_;
  sys::Address local_;
  std::optional<std::uint32_t> peer_uid_;
  std::optional<crypto::PeerIdentity> peer_identity_;
};

}  // namespace perigee::http
