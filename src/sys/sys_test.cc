// The real host: loopback sockets, Unix sockets, files, processes, descriptor passing.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "async/combine.h"
#include "async/task_group.h"
#include "sys/posix_host.h"

namespace perigee::sys {
namespace {

struct Fixture {
  Fixture() : host(*PosixHost::open(2)) {
    std::string pattern = "/tmp/perigee-sys-XXXXXX";
    directory = ::mkdtemp(pattern.data());
  }
  ~Fixture() { std::filesystem::remove_all(directory); }
  async::Loop& loop() { return host->loop(); }
  Host& h() { return host->host(); }
  Deadline soon() { return loop().deadline_in(10s); }

  std::unique_ptr<PosixHost> host;
  std::string directory;
};

async::Task<Result<std::string>> read_to_end(Stream& stream) {
  std::string out;
  std::array<char, 4096> buffer;
  for (;;) {
    CO_TRY(const std::size_t n, co_await stream.read(buffer));
    if (n == 0) co_return out;
    out.append(buffer.data(), n);
  }
}

async::Task<void> echo_once(Listener& listener) {
  auto stream = co_await listener.accept();
  const auto text = co_await read_to_end(**stream);
  [[maybe_unused]] const auto written = co_await (*stream)->write(*text);
}

async::Task<Result<std::string>> ask(Host& host, Address to, std::string text) {
  CO_TRY(auto stream, co_await host.network.connect(to, host.loop.deadline_in(5s)));
  CO_TRY_VOID(co_await stream->write(text));
  CO_TRY_VOID(stream->shutdown_write());
  co_return co_await read_to_end(*stream);
}

TEST_CASE_FIXTURE(Fixture, "a megabyte goes there and back over TCP and over a Unix socket") {
  for (const std::string& text : {std::string("127.0.0.1:0"), "unix:" + directory + "/s"}) {
    auto listener = h().network.listen(*Address::parse(text));
    REQUIRE(listener.has_value());
    async::TaskGroup group(loop());
    group.spawn(echo_once(**listener));
    const std::string big(1 << 20, 'x');
    CHECK(loop().run(ask(h(), (*listener)->local(), big)).value() == big);
  }
}

// What a read of plenty brings; "(silence)" where nothing comes.
async::Task<std::string> read_some(Host& host, Stream& stream) {
  std::array<char, 4096> buffer;
  const auto n = co_await async::with_deadline(host.loop, host.loop.deadline_in(2s),
                                               stream.read(buffer), "read");
  co_return n ? std::string(buffer.data(), *n) : "(silence)";
}

async::Task<std::vector<std::string>> read_in_pieces(Host& host, Listener& listener) {
  std::vector<std::string> seen;
  auto theirs = co_await host.network.connect(listener.local(), host.loop.deadline_in(5s));
  auto ours = co_await listener.accept();
  std::array<char, 16> buffer;
  for (const char* piece : {"abc", "de"}) {
    std::ignore = co_await (*theirs)->write(piece);
    seen.push_back(co_await read_some(host, **ours));
    if ((*ours)->try_read(buffer).value()) seen.emplace_back("(more)");
  }
  std::ignore = co_await (*theirs)->write("f");
  std::ignore = (*theirs)->shutdown_write();
  co_await host.loop.sleep(20ms);  // one edge tells of both
  for (int i = 0; i < 3; ++i) seen.push_back(co_await read_some(host, **ours));
  co_return seen;
}

TEST_CASE_FIXTURE(Fixture, "what comes after a short read is seen, and the end with it") {
  for (const std::string& text : {std::string("127.0.0.1:0"), "unix:" + directory + "/s"}) {
    auto listener = h().network.listen(*Address::parse(text));
    REQUIRE(listener.has_value());
    CHECK(loop().run(read_in_pieces(h(), **listener)) ==
          std::vector<std::string>{"abc", "de", "f", "", ""});
  }
}

TEST_CASE_FIXTURE(Fixture, "a refused connection says where") {
  auto listener = h().network.listen(*Address::parse("127.0.0.1:0"));
  const Address at = (*listener)->local();
  listener->reset();
  const auto refused = loop().run(h().network.connect(at, soon()));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Code::unavailable);
  CHECK(refused.error().context.find(at.str()) != std::string::npos);
}

TEST_CASE("addresses are one where they lead to the same place") {
  const auto parse = [](const char* text) { return Address::parse(text).value(); };
  const std::hash<Address> hash;
  for (const char* text : {"127.0.0.1:80", "[::1]:443", "unix:/run/x.sock"}) {
    CHECK(parse(text) == parse(text));
    CHECK(hash(parse(text)) == hash(parse(text)));
  }
  CHECK(parse("[::1]:443") == parse("[0:0::1]:443"));
  CHECK_FALSE(parse("127.0.0.1:80") == parse("127.0.0.1:81"));
  CHECK_FALSE(parse("127.0.0.1:80") == parse("127.0.0.2:80"));
  CHECK_FALSE(parse("[::ffff:127.0.0.1]:80") == parse("127.0.0.1:80"));
  CHECK_FALSE(parse("unix:/run/x.sock") == parse("unix:/run/y.sock"));
  CHECK(Address() == Address());
}

TEST_CASE("addresses parse and print") {
  for (const char* text : {"127.0.0.1:80", "[::1]:443", "unix:/run/x.sock"}) {
    CHECK(Address::parse(text).value().str() == text);
  }
  for (const char* text : {"", "80", "localhost:80", "1.2.3.4:99999", "unix:"}) {
    CHECK_FALSE(Address::parse(text).has_value());
  }
  CHECK_FALSE(Address::unix_path(std::string(200, 'a')).has_value());
}

TEST_CASE_FIXTURE(Fixture, "a file is replaced as a whole and read back") {
  const std::string path = directory + "/file";
  CHECK(loop().run(h().disk.write_file(path, "one", 0600, Durability::synced)).has_value());
  CHECK(loop().run(h().disk.write_file(path, "two", 0600, Durability::synced)).has_value());
  CHECK(loop().run(h().disk.read_file(path, 100)).value() == "two");
  CHECK(loop().run(h().disk.read_file(path, 2)).error().code == Code::resource_exhausted);
  CHECK(loop().run(h().disk.read_file(directory + "/none", 2)).error().code == Code::not_found);
  CHECK(loop().run(h().disk.list(directory)).value() == std::vector<std::string>{"file"});
  CHECK(loop().run(h().disk.remove(path)).has_value());
  CHECK(loop().run(h().disk.remove(path)).has_value());
  CHECK_FALSE(loop().run(h().disk.exists(path)).value());
}

TEST_CASE_FIXTURE(Fixture, "a helper gets its input and gives output and status") {
  Spawn spawn{.argv = {"sh", "-c", "cat; echo err >&2; exit 3"}};
  const auto done = loop().run(h().processes.run(spawn, "hello", soon()));
  REQUIRE(done.has_value());
  CHECK(done->out == "hello");
  CHECK(done->err == "err\n");
  CHECK(done->status == ExitStatus{ExitStatus::Kind::exited, 3});
  CHECK(helper_failed(spawn, *done).context == "sh failed with exit code 3: err");
}

TEST_CASE_FIXTURE(Fixture, "a helper past its deadline is killed") {
  Spawn spawn{.argv = {"sleep", "100"}};
  const auto late = loop().run(h().processes.run(spawn, "", loop().deadline_in(50ms)));
  CHECK(late.error().code == Code::deadline_exceeded);
}

TEST_CASE_FIXTURE(Fixture, "a program that does not exist is an error at once") {
  CHECK(h().processes.spawn({.argv = {"no-such-program-here"}}).error().code == Code::not_found);
  CHECK(h().processes.spawn({.argv = {"/no/such"}}).error().code == Code::not_found);
}

TEST_CASE_FIXTURE(Fixture, "an adopted process is noticed when it ends") {
  // A grandchild, whose parent is gone.
  const Spawn spawn{.argv = {"sh", "-c", "sleep 100 >/dev/null 2>&1 & echo $!"}};
  const auto shell = loop().run(h().processes.run(spawn, "", loop().deadline_in(10s)));
  REQUIRE(shell.has_value());
  auto adopted = h().processes.adopt(std::stoi(shell->out));
  REQUIRE(adopted.has_value());
  CHECK((*adopted)->signal(SIGTERM).has_value());
  CHECK(loop().run((*adopted)->wait()).kind == ExitStatus::Kind::unknown);
  CHECK((*adopted)->signal(SIGTERM).error().code == Code::not_found);
}

// As after exec(3): a child of the program that this process was before.
TEST_CASE_FIXTURE(Fixture, "an adopted process that is a child has its status, and is reaped") {
  auto child = h().processes.spawn({.argv = {"sleep", "100"}});
  REQUIRE(child.has_value());
  auto adopted = h().processes.adopt((*child)->pid());
  REQUIRE(adopted.has_value());
  CHECK((*adopted)->signal(SIGTERM).has_value());
  CHECK(loop().run((*adopted)->wait()) == ExitStatus{ExitStatus::Kind::signaled, SIGTERM});
  CHECK((*child)->signal(SIGTERM).error().code == Code::not_found);
}

async::Task<void> signal_self(async::Loop& loop) {
  co_await loop.yield();
  ::kill(::getpid(), SIGUSR2);
}

TEST_CASE_FIXTURE(Fixture,
                  "a signal to the process arrives at the one who waits, whatever the threads") {
  for (int i = 0; i < 50; ++i) {
    async::TaskGroup group(loop());
    group.spawn(signal_self(loop()));
    CHECK(loop().run(host->wait_for_signal({SIGUSR2})) == SIGUSR2);
  }
}

TEST_CASE("a listener may wait for an address that is not this machine's yet") {
  for (const char* text : {"[fd9e:7c0a:1::1]:4282", "192.0.2.77:4282"}) {
    const Address at = *Address::parse(text);
    CHECK_FALSE(listen_socket(at, 16).has_value());
    const auto coming = listen_socket(at, 16, Binding::coming);
    CHECK_MESSAGE(coming.has_value(), (coming ? "" : coming.error().context));
  }
}

TEST_CASE_FIXTURE(Fixture, "descriptors pass over a Unix socket") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const Fd a(ends[0]);
  const Fd b(ends[1]);
  auto listening = listen_socket(*Address::parse("127.0.0.1:0"), 16);
  CHECK(send_descriptors(a.get(), "api", {listening->get()}).has_value());
  auto received = receive_descriptors(b.get(), 100);
  REQUIRE(received.has_value());
  CHECK(received->text == "api");
  REQUIRE(received->fds.size() == 1);
  auto listener = host->adopt_listener(std::move(received->fds[0]));
  listening->reset();
  async::TaskGroup group(loop());
  group.spawn(echo_once(**listener));
  CHECK(loop().run(ask(h(), (*listener)->local(), "hi")).value() == "hi");
}

}  // namespace
}  // namespace perigee::sys
