#include "link/relay.h"

#include <array>

#include "api/caller.h"
#include "async/combine.h"
#include "exec/relay.h"
#include "http/upgrade.h"
#include "link/limits.h"

namespace perigee::link {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

// RFC 9110 section 7.6.1: of one connection, not of the message. And what only a link may say.
constexpr std::array<std::string_view, 10> kNotCarried{
    "connection",       "keep-alive",      "transfer-encoding", "te",
    "trailer",          "expect",          api::kNodeHeader,    api::kCertificateHeader,
    api::kCallerHeader, api::kToNodeHeader};

std::unexpected<RelayFailure> failed(Error error, bool answered) {
  return std::unexpected(RelayFailure{std::move(error), answered});
}

async::Task<Result<void>> pour(http::Body& from, http::ResponseWriter& to) {
  std::vector<char> piece(kPiece);
  for (;;) {
    CO_TRY(const std::size_t n, co_await from.read(piece));
    if (n == 0) co_return co_await to.finish();
    CO_TRY_VOID(co_await to.write({piece.data(), n}));
  }
}

async::Task<void> pour_into(http::Body& from, http::ResponseWriter& to, Result<void>& result) {
  result = co_await pour(from, to);
}

async::Task<Relayed> relay_upgrade(async::Loop& loop, Destination to, const Carried& request,
                                   Duration patience, http::ResponseWriter& response) {
  auto answer =
      co_await http::upgrade(to.host, to.address, request.head, loop.deadline_in(patience));
  if (!answer) co_return failed(answer.error(), false);
  if (!answer->stream) {
    http::ResponseHead head = std::move(answer->head);
    for (const std::string_view name : kNotCarried) head.headers.remove(name);
    const auto sent = co_await response.send(std::move(head), std::move(answer->body));
    if (!sent) co_return failed(sent.error(), true);
    co_return Relayed();
  }
  const auto client =
      co_await response.switch_protocols(std::string(*request.head.headers.find("upgrade")));
  if (!client) co_return failed(client.error(), true);
  co_await exec::relay(loop, **client, *answer->stream);
  co_return Relayed();
}

}  // namespace

async::Task<Result<Carried>> take(http::Request& request) {
  Carried out{.head = request.head, .body = {}};
  CO_TRY(out.body, co_await http::read_all(request.body, kMaxRelayedBody));
  for (const std::string_view name : kNotCarried) out.head.headers.remove(name);
  out.head.headers.remove("content-length");  // the client says it anew
  co_return out;
}

async::Task<Relayed> relay(async::Loop& loop, Destination to, const Carried& request,
                           Duration patience, http::ResponseWriter& response) {
  if (request.head.headers.find("upgrade") != nullptr) {
    co_return co_await relay_upgrade(loop, to, request, patience, response);
  }
  auto answer = co_await to.client.request(to.address, request.head, request.body,
                                           loop.deadline_in(patience));
  if (!answer) co_return failed(answer.error(), false);
  http::ResponseHead head = (*answer)->head;
  if (head.headers.find(api::kNotReachedHeader) != nullptr)
    co_return failed(
        Error::make(Code::unavailable, "it runs, but the daemon there does not answer"), false);
  for (const std::string_view name : kNotCarried) head.headers.remove(name);
  const auto started = co_await response.start(std::move(head));
  if (!started) co_return failed(started.error(), true);
  Result<void> poured = fail(Code::cancelled, "the caller has gone");
  co_await async::first_of(loop, pour_into((*answer)->body(), response, poured), response.closed());
  if (!poured) co_return failed(poured.error(), true);
  co_return Relayed();
}

}  // namespace perigee::link
