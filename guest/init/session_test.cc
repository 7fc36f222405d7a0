#include <doctest/doctest.h>

#include <optional>
#include <vector>

#include "channel/codec.h"
#include "channel/limits.h"
#include "init/session.h"

namespace perigee::init {
namespace {

using namespace perigee::channel;

// A host that takes all that the session has to say.
struct Host {
  explicit Host(std::uint64_t nonce) : decoder(nonce) {}

  std::vector<GuestMessage> take(Session& session) {
    std::vector<GuestMessage> messages;
    while (!session.pending().empty()) {
      const std::string_view bytes = session.pending().substr(0, 1000);
      decoder.feed(bytes);
      session.wrote(bytes.size());
    }
    while (true) {
      auto message = decoder.next();
      REQUIRE(message.has_value());
      if (!*message) {
        return messages;
      }
      messages.push_back(**message);
    }
  }

  HostDecoder decoder;
};

void send(Session& session, const std::string& bytes) {
  session.feed(bytes);
  CHECK_FALSE(session.next().has_value());
}

std::string text_of(const std::vector<GuestMessage>& messages) {
  std::string text;
  for (const GuestMessage& message : messages) {
    if (const auto* output = std::get_if<Output>(&message)) {
      text += output->bytes;
    }
  }
  return text;
}

TEST_CASE("nothing is said before a host attaches") {
  Session session(0);
  session.started(5);
  session.output(Stream::kStdout, "early\n");
  CHECK(session.pending().empty());
  send(session, encode(Attach{1}));
  Host host(1);
  const auto messages = host.take(session);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0] == GuestMessage(Hello{1, GuestState::kRunning, 5, 0}));
  CHECK(messages[1] == GuestMessage(Output{Stream::kStdout, 1, "early\n"}));
}

TEST_CASE("what init acts on is handed out, the rest is answered") {
  Session session(0);
  session.feed(encode(Attach{1}) + encode(Ping{9}) + encode(Signal{15}));
  CHECK(session.next() == HostMessage(Signal{15}));
  Host host(1);
  CHECK(host.take(session).back() == GuestMessage(Pong{9}));
}

TEST_CASE("a new host gets what the old one did not acknowledge, wherever that one was cut") {
  for (std::size_t cut = 0; cut < 120; ++cut) {
    Session session(0);
    send(session, encode(Attach{1}));
    session.started(5);
    for (const char* line : {"a\n", "b\n", "c\n"}) {
      session.output(Stream::kStdout, line);
    }
    send(session, encode(Ack{1}));
    session.wrote(std::min(cut, session.pending().size()));
    if (cut % 2 == 0) {
      session.host_gone(10);  // seen by init, or not
    }
    send(session, encode(Attach{2}));
    Host host(2);
    const auto messages = host.take(session);
    CHECK(messages[0] == GuestMessage(Hello{1, GuestState::kRunning, 5, 0}));
    CHECK(text_of(messages) == "b\nc\n");
  }
}

TEST_CASE("a host that says what it has is not sent that again") {
  Session session(0);
  session.output(Stream::kStdout, "a");
  session.output(Stream::kStdout, "b");
  send(session, encode(Attach{1, kProtocolVersion, 1}));
  Host host(1);
  CHECK(text_of(host.take(session)) == "b");
}

TEST_CASE("the exit report is repeated until it is acknowledged") {
  Session session(0);
  send(session, encode(Attach{1}));
  session.exited({0, 137, 9, true});
  CHECK_FALSE(session.acknowledged());
  Host first(1);
  CHECK(first.take(session).back() == GuestMessage(Exited{1, 137, 9, true}));
  send(session, encode(Attach{2}));
  Host second(2);
  const auto messages = second.take(session);
  CHECK(messages.front() == GuestMessage(Hello{1, GuestState::kExited, 0, 0}));
  CHECK(messages.back() == GuestMessage(Exited{1, 137, 9, true}));
  send(session, encode(Ack{1}));
  CHECK(session.acknowledged());
}

TEST_CASE("output waits for a host that is there and is dropped for one that stays away") {
  Session session(0);
  send(session, encode(Attach{1}));
  const std::string chunk(kMaxOutputChunk, 'x');
  std::size_t taken = 0;
  while (session.takes_output(1'000'000)) {
    session.output(Stream::kStdout, chunk);
    taken += chunk.size();
  }
  CHECK(taken <= kMaxUnacknowledged);
  CHECK_FALSE(session.drops_from_ms().has_value());

  session.host_gone(1'000'000);
  CHECK_FALSE(session.takes_output(1'000'000 + kDetachedPatienceMs - 1));
  CHECK(session.drops_from_ms() == 1'000'000 + kDetachedPatienceMs);
  CHECK(session.takes_output(1'000'000 + kDetachedPatienceMs));
  session.output(Stream::kStdout, "newest");

  send(session, encode(Attach{2}));
  Host host(2);
  const auto messages = host.take(session);
  const auto& hello = std::get<Hello>(messages.front());
  CHECK(hello.dropped_bytes > 0);
  CHECK(text_of(messages).size() + hello.dropped_bytes == taken + 6);
  CHECK(text_of(messages).ends_with("newest"));
}

TEST_CASE("an acknowledgement makes room again") {
  Session session(0);
  send(session, encode(Attach{1}));
  std::uint64_t sequence = 0;
  while (session.takes_output(0)) {
    session.output(Stream::kStderr, std::string(kMaxOutputChunk, 'x'));
    ++sequence;
  }
  send(session, encode(Ack{sequence}));
  CHECK(session.takes_output(0));
  CHECK(session.acknowledged());
}

TEST_CASE("a report goes to the host that asks, and to nobody later") {
  Session session(0);
  session.feed(encode(Attach{1}) + encode(Inquire{Topic::kListening}));
  const auto question = session.next();
  REQUIRE(question.has_value());
  CHECK(std::holds_alternative<Inquire>(*question));
  const Listening report{{{std::string(4, '\0'), 8080, "app"}}};
  session.send_unkept(encode(report));
  Host host(1);
  CHECK(host.take(session).back() == GuestMessage(report));
  session.host_gone(0);
  session.send_unkept(encode(report));
  send(session, encode(Attach{2}));
  Host next(2);
  CHECK(next.take(session).size() == 1);  // Hello alone
}

}  // namespace
}  // namespace perigee::init
