// Qmp against a scripted QEMU: greeting, answers among events, errors, silence.
#include "monitor/qmp.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "async/combine.h"
#include "async/task_group.h"
#include "sys/posix_host.h"

namespace perigee::monitor {
namespace {

constexpr std::string_view kGreeting = "{\"QMP\": {\"version\": {}}}\n";
constexpr std::string_view kDone = "{\"return\": {}}\n";

// Says `script` line by line: the first at once, each further one after a request.
struct Bench {
  explicit Bench(std::vector<std::string> lines) : script(std::move(lines)), tasks(host.loop, 1) {
    listener = *host.network.listen(*sys::Address::unix_path(path));
    tasks.spawn(play(*this));
  }
  ~Bench() { ::unlink(path.c_str()); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  static async::Task<void> play(Bench& bench) {
    auto stream = co_await bench.listener->accept();
    REQUIRE(stream.has_value());
    std::array<char, 4096> buffer;
    for (const std::string& line : bench.script) {
      if (&line != &bench.script.front()) {
        const auto n = co_await (*stream)->read(buffer);
        if (!n || *n == 0) co_return;
        bench.heard.emplace_back(buffer.data(), *n);
      }
      REQUIRE((co_await (*stream)->write(line)).has_value());
    }
    [[maybe_unused]] const auto last = co_await (*stream)->read(buffer);
  }

  async::Task<Result<std::unique_ptr<Qmp>>> connect() {
    return Qmp::connect(host, path, host.loop.deadline_in(500ms));
  }
  template <typename T>
  T run(async::Task<T> task) {
    return posix->loop().run(std::move(task));
  }

  std::unique_ptr<sys::PosixHost> posix = *sys::PosixHost::open(0);
  sys::Host& host = posix->host();
  std::string path = fmt::format("/tmp/perigee-qmp-{}.sock", ::getpid());
  std::vector<std::string> script;
  std::vector<std::string> heard;
  std::unique_ptr<sys::Listener> listener;
  async::TaskGroup tasks;
};

TEST_CASE("commands are answered, events between are skipped") {
  Bench bench({std::string(kGreeting), std::string(kDone),
               "{\"event\": \"STOP\"}\n{\"return\": {\"status\": \"paused\"}}\n"});
  const auto qmp = bench.run(bench.connect());
  REQUIRE(qmp.has_value());
  const auto answer = bench.run((*qmp)->execute("query-status"));
  REQUIRE(answer.has_value());
  CHECK(answer->require_string("status").value() == "paused");
  REQUIRE(bench.heard.size() == 2);
  CHECK(bench.heard[0].find("qmp_capabilities") != std::string::npos);
}

TEST_CASE("QEMU's complaint is the error") {
  Bench bench({std::string(kGreeting), std::string(kDone),
               "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}\n",
               "{\"return\": {\"status\": \"failed\", \"error-desc\": \"bad file\"}}\n"});
  const auto qmp = bench.run(bench.connect());
  REQUIRE(qmp.has_value());
  CHECK(bench.run((*qmp)->execute("migrate")).error().context == "QMP migrate: no such thing");
  CHECK(bench.run((*qmp)->migration_status()).error().context.find("bad file") !=
        std::string::npos);
}

TEST_CASE("what is no QMP, or says nothing, is an error and not a wait") {
  Bench other({"HTTP/1.1 200 OK\n"});
  CHECK_FALSE(other.run(other.connect()).has_value());
}

TEST_CASE("a VMM that does not answer is given up") {
  Bench silent({""});
  CHECK(silent.run(silent.connect()).error().code == Code::deadline_exceeded);
}

TEST_CASE("a VMM that goes away ends the call") {
  Bench bench({std::string(kGreeting), std::string(kDone)});
  auto qmp = bench.run(bench.connect());
  REQUIRE(qmp.has_value());
  const auto answer = bench.run((*qmp)->execute("query-status"));
  CHECK(answer.error().code == Code::end_of_stream);
}

}  // namespace
}  // namespace perigee::monitor
