#include "router/tls_passage.h"

#include <array>

#include "async/combine.h"
#include "crypto/client_hello.h"
#include "http/prefixed_stream.h"
#include "router/entrance.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::size_t kPiece = 4096;

// Reads into `bytes` until the message is whole; the name in it.
async::Task<Result<std::string>> read_name(sys::Stream& stream, std::string& bytes) {
  std::array<char, kPiece> buffer{};
  for (;;) {
    CO_TRY(const auto hello, crypto::parse_client_hello(bytes));
    if (hello) co_return hello->server_name;
    CO_TRY(const std::size_t count, co_await stream.read(buffer));
    if (count == 0) co_return std::string();
    bytes.append(buffer.data(), count);
  }
}

std::optional<routing::PortOwner> passage_of(const routing::RouteTable& table,
                                             const std::string& name) {
  const routing::RoutePtr route = table.find_host(name);
  if (route == nullptr) return std::nullopt;
  auto owner = routing::find_port(route, model::Protocol::tcp, kHttpsServicePort);
  if (!owner || owner->port->has(model::Handler::http)) return std::nullopt;
  return owner;
}

}  // namespace

async::Task<std::unique_ptr<sys::Stream>> past_passages(sys::Host& host, const State& state,
                                                        TcpProxy& tcp,
                                                        std::unique_ptr<sys::Stream> stream) {
  if (!state.table->has_passages()) co_return stream;
  std::string bytes;
  const auto name = co_await async::with_deadline(
      host.loop, host.loop.deadline_in(kOpeningPatience), read_name(*stream, bytes), "ClientHello");
  if (!name && name.error().code == Code::deadline_exceeded) co_return nullptr;
  auto whole = std::make_unique<http::PrefixedStream>(std::move(bytes), std::move(stream));
  const auto owner = name ? passage_of(*state.table, *name) : std::nullopt;
  if (!owner) co_return whole;
  tcp.take(std::move(whole), *owner);
  co_return nullptr;
}

}  // namespace perigee::router
