#include "http/upgrade.h"

#include "async/combine.h"
#include "base/text.h"
#include "http/codec.h"
#include "http/input.h"
#include "http/prefixed_stream.h"

namespace perigee::http {
namespace {

async::Task<Result<std::size_t>> await_head(Input& input) {
  HeadScanner scanner;
  for (;;) {
    const auto size = scanner.scan(input.view());
    if (!size) co_return fail(Code::data_loss, "{}", size.error().why);
    if (*size) co_return **size;
    if (input.ended()) co_return fail(Code::end_of_stream, "closed without a response");
    CO_TRY_VOID(co_await input.more(kHeadRead));
  }
}

async::Task<Result<UpgradeAnswer>> exchange(async::Loop& loop, std::unique_ptr<sys::Stream> stream,
                                            std::string request) {
  CO_TRY_VOID(co_await stream->write(request));
  Input input(loop, *stream);
  CO_TRY(const std::size_t size, co_await await_head(input));
  auto head = parse_response_head(input.view().substr(0, size));
  if (!head) co_return fail(Code::data_loss, "{}", head.error().why);
  input.consume(size);
  UpgradeAnswer answer{.head = *std::move(head), .stream = nullptr, .body = {}};
  if (answer.head.status == 101) {
    answer.stream = std::make_unique<PrefixedStream>(std::string(input.view()), std::move(stream));
    co_return answer;
  }
  const auto framing = response_framing(answer.head, "GET");
  if (!framing) co_return fail(Code::data_loss, "{}", framing.error().why);
  BodyReader body(loop, input, *framing, Duration::zero());
  CO_TRY(answer.body, co_await read_all(body, kMaxRefusal));
  co_return answer;
}

// Not from HTTP/1.0. A head of HTTP/2 has the fields only where it was made of an extended CONNECT.
bool may_upgrade(const RequestHead& head) {
  return head.major_version > 1 || head.minor_version >= 1;
}

}  // namespace

async::Task<Result<UpgradeAnswer>> upgrade(sys::Host& host, sys::Address to, RequestHead head,
                                           Deadline deadline) {
  if (head.headers.find("host") == nullptr) head.headers.add("Host", "localhost");
  CO_TRY_AS(auto stream, co_await host.network.connect(to, deadline), to.str());
  co_return co_await upgrade(host.loop, std::move(stream), std::move(head), deadline);
}

async::Task<Result<UpgradeAnswer>> upgrade(async::Loop& loop, std::unique_ptr<sys::Stream> stream,
                                           RequestHead head, Deadline deadline) {
  head.headers.set("Connection", "Upgrade");
  head.headers.remove("te");  // which it would have to name too; nothing trails a new protocol
  std::string request;
  CO_TRY_VOID(append_head(request, head));
  const std::string peer = stream->peer().str();
  co_return co_await async::with_deadline(
      loop, deadline, exchange(loop, std::move(stream), std::move(request)), peer);
}

std::string requested_protocol(const RequestHead& head) {
  const std::string_view* protocol = head.headers.find("upgrade");
  const bool asks =
      may_upgrade(head) && protocol != nullptr && has_token(head.headers, "connection", "upgrade");
  return asks ? std::string(*protocol) : std::string();
}

bool asks_for_upgrade(const RequestHead& head, std::string_view protocol) {
  return may_upgrade(head) && has_token(head.headers, "connection", "upgrade") &&
         has_token(head.headers, "upgrade", protocol);
}

}  // namespace perigee::http
