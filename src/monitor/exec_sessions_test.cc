#include "monitor/exec_sessions.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "async/task_group.h"
#include "channel/codec.h"
#include "channel/decoder.h"
#include "exec/limits.h"
#include "sys/posix_host.h"

using namespace perigee;
using namespace perigee::monitor;

namespace {

// Sessions whose guest is the test, and a client at a socket.
struct Bench {
  Bench()
      : posix(std::move(*sys::PosixHost::open(0))),
        sessions(posix->host(),
                 [this](std::string frame) {
                   if (refuses) return Result<void>(fail(Code::unavailable, "no guest"));
                   guest.feed(frame);
                   return Result<void>();
                 }),
        tasks(posix->loop()) {
    guest.feed(channel::encode(channel::Attach{}));
    REQUIRE(guest.next().has_value());
  }
  struct Client {
    std::unique_ptr<sys::Stream> stream;
    exec::ServerDecoder decoder;
  };
  Client connect() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    tasks.spawn(serve(sessions, std::move(*posix->adopt_stream(sys::Fd(ends[0])))));
    return {.stream = std::move(*posix->adopt_stream(sys::Fd(ends[1]))), .decoder = {}};
  }
  static async::Task<void> serve(ExecSessions& sessions, std::unique_ptr<sys::Stream> stream) {
    co_await sessions.serve(*stream, {});
  }
  void settle() {
    const auto nap = [](async::Loop& loop) -> async::Task<void> { co_await loop.sleep(20ms); };
    posix->loop().run(nap(posix->loop()));
  }
  template <typename Message>
  void say(Client& client, const Message& message) {
    const std::string bytes = exec::encode(message);
    REQUIRE(posix->loop().run(client.stream->write(bytes)).has_value());
    settle();
  }
  // What the client has been told since; reads all that is there.
  std::vector<exec::ServerMessage> told(Client& client) {
    settle();
    std::vector<exec::ServerMessage> messages;
    std::array<char, 4096> buffer;
    for (auto n = client.stream->try_read(buffer); n && n->value_or(0) > 0;
         n = client.stream->try_read(buffer)) {
      client.decoder.feed({buffer.data(), **n});
    }
    for (auto next = client.decoder.next(); next && *next; next = client.decoder.next())
      messages.push_back(**next);
    return messages;
  }
  std::vector<channel::HostMessage> heard() {
    settle();
    guest.feed(channel::encode(channel::Ack{}));  // lets a message out that is held back
    std::vector<channel::HostMessage> messages;
    while (auto message = guest.next()) {
      if (!std::holds_alternative<channel::Ack>(*message)) messages.push_back(std::move(*message));
    }
    return messages;
  }
  // A client whose process runs as session `id`.
  Client started(std::uint32_t id) {
    Client client = connect();
    say(client, exec::Start{.command = {"sh"}});
    REQUIRE(heard().size() == 1);
    sessions.guest_says(channel::ExecStarted{id, 77, {}});
    REQUIRE(told(client) == std::vector<exec::ServerMessage>{exec::Started{}});
    return client;
  }

  std::unique_ptr<sys::PosixHost> posix;
  bool refuses = false;
  channel::GuestDecoder guest;
  ExecSessions sessions;
  async::TaskGroup tasks;
};

using Told = std::vector<exec::ServerMessage>;
using Heard = std::vector<channel::HostMessage>;

}  // namespace

TEST_CASE("a session's start, input, output and end pass between client and guest") {
  Bench bench;
  Bench::Client client = bench.connect();
  bench.say(client, exec::Start{.command = {"ls", "-l"},
                                .env = {"A=1"},
                                .user = "web",
                                .directory = "/srv",
                                .tty = true,
                                .window = {24, 80}});
  CHECK(bench.heard() ==
        Heard{channel::Exec{1, {"ls", "-l"}, {"A=1"}, "web", "/srv", true, 24, 80}});
  bench.sessions.guest_says(channel::ExecStarted{1, 77, {}});
  bench.sessions.guest_says(channel::ExecOutput{1, channel::Stream::kStderr, "oops"});
  CHECK(bench.told(client) == Told{exec::Started{}, exec::Output{exec::Channel::err, "oops"}});
  CHECK(bench.heard() == Heard{channel::ExecOutputCredit{1, 4}});
  bench.say(client, exec::Input{"in"});
  bench.say(client, exec::Resize{{30, 90}});
  bench.say(client, exec::Signal{2});
  bench.say(client, exec::EndInput{});
  CHECK(bench.heard() == Heard{channel::ExecInput{1, false, "in"}, channel::ExecResize{1, 30, 90},
                               channel::ExecSignal{1, 2}, channel::ExecInput{1, true, ""}});
  bench.sessions.guest_says(channel::ExecExited{1, 3, 0});
  CHECK(bench.told(client) == Told{exec::Exited{3, 0}});
  CHECK(bench.tasks.size() == 0);
  CHECK(bench.heard().empty());
}

TEST_CASE("a client that goes away has its process killed") {
  Bench bench;
  Bench::Client client = bench.started(1);
  client.stream.reset();
  CHECK(bench.heard() == Heard{channel::ExecClose{1}});
  CHECK(bench.tasks.size() == 0);
}

TEST_CASE("input waits for the guest's credit") {
  Bench bench;
  Bench::Client client = bench.started(1);
  for (std::size_t sent = 0; sent < 2 * channel::kExecWindow; sent += exec::kMaxChunk)
    bench.say(client, exec::Input{std::string(exec::kMaxChunk, 'x')});
  const auto size_of = [](const Heard& messages) {
    std::size_t size = 0;
    for (const auto& each : messages) size += std::get<channel::ExecInput>(each).bytes.size();
    return size;
  };
  CHECK(size_of(bench.heard()) == channel::kExecWindow);
  bench.sessions.guest_says(channel::ExecInputCredit{1, 100});
  CHECK(size_of(bench.heard()) == 100);
  bench.sessions.guest_says(channel::ExecInputCredit{1, 1U << 30});  // no more than a window
  CHECK(size_of(bench.heard()) == channel::kExecWindow - 100);
}

TEST_CASE("a guest that sends more than its window loses the session, not the others") {
  Bench bench;
  Bench::Client first = bench.started(1);
  Bench::Client second = bench.started(2);
  const std::string chunk(channel::kMaxExecChunk, 'x');
  for (std::size_t sent = 0; sent <= channel::kExecWindow; sent += chunk.size())
    bench.sessions.guest_says(channel::ExecOutput{1, channel::Stream::kStdout, chunk});
  CHECK(std::holds_alternative<exec::Failed>(bench.told(first).back()));
  const Heard heard = bench.heard();
  CHECK(std::ranges::count(heard, channel::HostMessage(channel::ExecClose{1})) == 1);
  bench.sessions.guest_says(channel::ExecOutput{2, channel::Stream::kStdout, "fine"});
  CHECK(bench.told(second) == Told{exec::Output{exec::Channel::out, "fine"}});
}

TEST_CASE("what can't be started is told with its reason") {
  Bench bench;
  Bench::Client client = bench.connect();
  bench.say(client, exec::Input{"too early"});
  CHECK(std::get<exec::Failed>(bench.told(client).front()).code == Code::invalid_argument);

  client = bench.connect();
  bench.say(client, exec::Start{.command = {"nosuch"}});
  bench.sessions.guest_says(channel::ExecStarted{1, 0, "command \"nosuch\": not found"});
  CHECK(bench.told(client) ==
        Told{exec::Failed{Code::invalid_argument, "command \"nosuch\": not found"}});

  CHECK(bench.heard().size() == 1);

  client = bench.started(2);
  REQUIRE(bench.posix->loop().run(client.stream->write(std::string(5, '\xff'))).has_value());
  CHECK(std::get<exec::Failed>(bench.told(client).front()).code == Code::data_loss);

  bench.refuses = true;
  client = bench.connect();
  bench.say(client, exec::Start{.command = {"sh"}});
  CHECK(bench.told(client) == Told{exec::Failed{Code::unavailable, "no guest"}});
  CHECK(bench.tasks.size() == 0);
}

TEST_CASE("there are sixteen sessions at most, and all end with the guest") {
  Bench bench;
  std::vector<Bench::Client> clients;
  for (std::uint32_t id = 1; id <= channel::kMaxExecSessions; ++id)
    clients.push_back(bench.started(id));
  Bench::Client late = bench.connect();
  bench.say(late, exec::Start{.command = {"sh"}});
  CHECK(std::get<exec::Failed>(bench.told(late).front()).code == Code::resource_exhausted);
  bench.sessions.guest_lost();
  for (Bench::Client& client : clients)
    CHECK(std::get<exec::Failed>(bench.told(client).front()).code == Code::unavailable);
  CHECK(bench.tasks.size() == 0);
}
