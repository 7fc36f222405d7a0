#include "dns/server.h"

#include <utility>

#include "async/combine.h"
#include "base/log.h"

namespace perigee::dns {
namespace {

constexpr Duration kPauseAfterError = 100ms;

// Two bytes before each message by TCP.
std::string with_length(std::string_view message) {
  std::string out;
  out.push_back(static_cast<char>(message.size() >> 8));
  out.push_back(static_cast<char>(message.size()));
  return out.append(message);
}

async::Task<Result<std::string>> read_exactly(sys::Stream& stream, std::size_t count) {
  std::string out(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    CO_TRY(const std::size_t n, co_await stream.read(std::span(out).subspan(done)));
    if (n == 0) co_return fail(Code::end_of_stream, "DNS: a message is cut off");
    done += n;
  }
  co_return out;
}

async::Task<Result<std::string>> read_message(sys::Stream& stream) {
  CO_TRY(const std::string length, co_await read_exactly(stream, 2));
  const auto size = static_cast<std::size_t>(static_cast<unsigned char>(length[0])) << 8 |
                    static_cast<unsigned char>(length[1]);
  co_return co_await read_exactly(stream, size);
}

// That an answer is to this query: its id, and that it is one.
bool answers(std::string_view answer, std::string_view query) {
  return answer.size() >= 12 && query.size() >= 12 && answer.substr(0, 2) == query.substr(0, 2) &&
         (static_cast<unsigned char>(answer[2]) & 0x80U) != 0;
}

}  // namespace

Server::Server(sys::Host& host, OpenSocket open, FindClient clients,
               std::vector<sys::Address> resolvers)
    : host_(host),
      open_(std::move(open)),
      clients_(std::move(clients)),
      resolvers_(std::move(resolvers)),
      asked_(host.loop, kMaxAsked),
      connections_(host.loop, kMaxConnections) {}

std::optional<std::string> Server::own_answer(const std::string& message, const std::string& from,
                                              Transport transport) {
  const std::optional<Client> client = clients_(from);
  if (!client) return "";
  const auto query = parse_query(message);
  const bool internal = query && is_internal(query->question.name);
  if (!internal) {
    if (client->outside && !resolvers_.empty()) return std::nullopt;
    return refusal(message, Rcode::refused);
  }
  const Answer answer = client->known ? resolve(client->view, query->question, query->id)
                                      : Answer{.rcode = Rcode::server_failure};
  return write_answer(*query, answer, transport == Transport::udp ? query->udp_size : kMaxMessage);
}

// ---- UDP ----

async::Task<void> Server::serve_datagrams(sys::Datagrams& at) {
  std::string buffer(kMaxMessage, '\0');
  for (;;) {
    const auto received = co_await at.receive(buffer);
    if (!received) {
      log_warning("dns", "{}", received.error().context);
      co_await host_.loop.sleep(kPauseAfterError);
      continue;
    }
    std::string query = buffer.substr(0, received->size);
    const auto answer = own_answer(query, received->from.host(), Transport::udp);
    if (!answer) {
      asked_.spawn(hand_over(*this, at, std::move(query), received->from));
    } else if (!answer->empty()) {
      [[maybe_unused]] const auto sent = at.send(*answer, received->from);
    }
  }
}

async::Task<void> Server::hand_over(Server& server, sys::Datagrams& at, std::string query,
                                    sys::Address client) {
  const std::string answer = co_await server.ask(std::move(query));
  if (!answer.empty()) [[maybe_unused]]
    const auto sent = at.send(answer, client);
}

// One resolver after the other; none: the answer says that it failed.
async::Task<std::string> Server::ask(std::string query) {
  for (const sys::Address& resolver : resolvers_) {
    auto answer = co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kAskTimeout),
                                                ask_one(query, resolver), resolver.str());
    if (answer) co_return *std::move(answer);
  }
  co_return refusal(query, Rcode::server_failure);
}

async::Task<Result<std::string>> Server::ask_one(std::string query, sys::Address resolver) {
  CO_TRY(const auto any, sys::Address::ip(resolver.is_ipv6() ? "::" : "0.0.0.0", 0));
  CO_TRY(const auto socket, open_(any));
  CO_TRY_VOID(socket->send(query, resolver));
  std::string buffer(kMaxMessage, '\0');
  for (;;) {
    CO_TRY(const auto received, co_await socket->receive(buffer));
    const std::string_view answer = std::string_view(buffer).substr(0, received.size);
    if (received.from == resolver && answers(answer, query)) co_return std::string(answer);
  }
}

// ---- TCP ----

async::Task<void> Server::serve_streams(sys::Listener& at) {
  for (;;) {
    auto stream = co_await at.accept();
    if (stream) {
      connections_.spawn(serve_stream(*this, *std::move(stream)));
      continue;
    }
    log_warning("dns", "{}", stream.error().context);
    co_await host_.loop.sleep(kPauseAfterError);
  }
}

async::Task<void> Server::serve_stream(Server& server, std::unique_ptr<sys::Stream> stream) {
  async::Loop& loop = server.host_.loop;
  [[maybe_unused]] const auto done = co_await async::with_deadline(
      loop, loop.deadline_in(kConnectionTimeout), server.converse(*stream), "DNS by TCP");
}

// One question after the other, until the client ends it.
async::Task<Result<void>> Server::converse(sys::Stream& stream) {
  const std::string from = stream.peer().host();
  for (;;) {
    CO_TRY(std::string query, co_await read_message(stream));
    const auto own = own_answer(query, from, Transport::tcp);
    std::string answer;
    if (own) {
      answer = *own;
    } else {
      CO_TRY(answer, co_await ask_by_stream(std::move(query)));
    }
    if (answer.empty()) co_return Result<void>();
    const std::string framed = with_length(answer);
    CO_TRY_VOID(co_await stream.write(framed));
  }
}

async::Task<Result<std::string>> Server::ask_by_stream(std::string query) {
  Result<std::unique_ptr<sys::Stream>> stream = fail(Code::unavailable, "no resolver");
  for (const sys::Address& resolver : resolvers_) {
    stream = co_await host_.network.connect(resolver, host_.loop.deadline_in(kAskTimeout));
    if (stream) break;
  }
  if (!stream) co_return refusal(query, Rcode::server_failure);
  const std::string framed = with_length(query);
  CO_TRY_VOID(co_await (*stream)->write(framed));
  co_return co_await read_message(**stream);
}

}  // namespace perigee::dns
