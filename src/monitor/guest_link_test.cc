#include "monitor/guest_link.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <deque>

#include "async/task_group.h"
#include "channel/codec.h"
#include "channel/decoder.h"
#include "sys/posix_host.h"

using namespace perigee;
using namespace perigee::monitor;

namespace {

// A VMM whose channel is a socket pair per connection; the test plays the guest at the other end.
class FakeVmm : public Vmm {
 public:
  explicit FakeVmm(sys::PosixHost& host) : host_(host) {}
  Result<void> prepare() override { return {}; }
  sys::Spawn command() override { return {}; }
  void started() override {}
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect_channel(Deadline) override {
    if (closed_) co_return fail(Code::unavailable, "closed");
    std::array<int, 2> ends{};
    PERIGEE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    guests_.push_back(std::move(*host_.adopt_stream(sys::Fd(ends[0]))));
    co_return host_.adopt_stream(sys::Fd(ends[1]));
  }
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect_console(Deadline) override {
    co_return fail(Code::unavailable, "none");
  }
  async::Task<Result<void>> suspend(pid_t, Deadline) override { return not_here(); }
  async::Task<Result<void>> start_guest(Deadline) override { return not_here(); }
  async::Task<Result<void>> pause(Deadline) override { co_return Result<void>(); }
  async::Task<Result<void>> run_on(Deadline) override { return not_here(); }
  std::string exit_words(const sys::ExitStatus& status) const override { return status.str(); }
  std::string distinctive_argument() const override { return ""; }
  async::Task<void> follow_counters() override { co_return; }
  const vm::VmmCounts* counts() const override { return nullptr; }
  void clean_up() override {}

  sys::Stream& guest() { return *guests_.back(); }
  void hang_up() { guests_.clear(); }
  void close() {
    closed_ = true;
    hang_up();
  }
  std::size_t connections() const { return guests_.size(); }

 private:
  static async::Task<Result<void>> not_here() { co_return fail(Code::unsupported, "a fake VMM"); }
  sys::PosixHost& host_;
  std::deque<std::unique_ptr<sys::Stream>> guests_;
  bool closed_ = false;
};

class Recorder : public GuestListener {
 public:
  void guest_spoke() override { events.push_back("spoke"); }
  std::string configuration() override {
    return channel::encode(channel::Signal{.signo = 99});  // stands for the configuration
  }
  async::Task<void> guest_started(std::uint32_t pid) override {
    events.push_back(fmt::format("started {}", pid));
    co_return;
  }
  Duration guest_output(const channel::Output& output) override {
    events.push_back(fmt::format("output {} {}", output.sequence, output.bytes));
    return pause;
  }
  async::Task<void> guest_exited(channel::Exited exited) override {
    events.push_back(fmt::format("exited {}", exited.exit_code));
    co_return;
  }
  async::Task<void> guest_failed(channel::Failed failed) override {
    events.push_back("failed " + failed.message);
    co_return;
  }
  void guest_exec(const channel::GuestMessage& message) override {
    if (const auto* output = std::get_if<channel::ExecOutput>(&message))
      events.push_back(fmt::format("exec {} {}", output->id, output->bytes));
  }
  void guest_lost() override { ++lost; }
  void guest_listens(channel::Listening report) override {
    events.push_back(fmt::format("listens {}", report.sockets.size()));
  }
  void guest_runs(channel::Processes report) override {
    events.push_back(fmt::format("runs {}", report.processes.size()));
  }
  void guest_counts(channel::Stats report) override {
    events.push_back(fmt::format("counts {} CPUs", report.cpus.size()));
  }
  std::vector<std::string> events;
  Duration pause = {};
  int lost = 0;
};

struct Bench {
  Bench() : posix(std::move(*sys::PosixHost::open(0))), vmm(*posix), tasks(posix->loop()) {}

  void start(std::uint64_t received, GuestLink::Guest guest = GuestLink::Guest::found) {
    link = std::make_unique<GuestLink>(posix->host(), vmm, recorder, guest, received);
    tasks.spawn(link->run());
  }
  void settle() {
    const auto nap = [](async::Loop& loop) -> async::Task<void> { co_await loop.sleep(30ms); };
    posix->loop().run(nap(posix->loop()));
  }
  void say(const std::string& bytes) {
    REQUIRE(posix->loop().run(vmm.guest().write(bytes)).has_value());
    settle();
  }
  // What the host has written since, as the guest understands it.
  std::vector<channel::HostMessage> heard() {
    settle();
    std::array<char, 4096> buffer;
    const auto n = vmm.guest().try_read(buffer);
    REQUIRE(n.has_value());
    if (*n) decoder.feed(std::string_view(buffer.data(), **n));
    std::vector<channel::HostMessage> messages;
    while (auto message = decoder.next()) messages.push_back(std::move(*message));
    return messages;
  }
  // Takes the Attach and answers it.
  channel::Attach attach(channel::Hello hello) {
    const auto messages = heard();
    REQUIRE(messages.size() == 1);
    const auto attach = std::get<channel::Attach>(messages.front());
    say(channel::guest_preamble(attach.nonce) + channel::encode(hello));
    return attach;
  }

  std::unique_ptr<sys::PosixHost> posix;
  FakeVmm vmm;
  Recorder recorder;
  std::unique_ptr<GuestLink> link;
  channel::GuestDecoder decoder;
  async::TaskGroup tasks;
};

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("a waiting guest gets the time and its configuration; its output is acknowledged") {
  Bench bench;
  bench.start(0);
  CHECK(bench.link->send("x").error().code == Code::unavailable);
  CHECK(bench.attach({}).received == 0);
  auto messages = bench.heard();
  REQUIRE(messages.size() == 2);
  CHECK(std::holds_alternative<channel::Time>(messages[0]));
  CHECK(std::get<channel::Signal>(messages[1]).signo == 99);
  bench.say(channel::encode(channel::Started{.pid = 5}) +
            channel::encode(channel::Output{.sequence = 1, .bytes = "a"}) +
            channel::encode(channel::Output{.sequence = 2, .bytes = "b"}));
  messages = bench.heard();
  REQUIRE(messages.size() == 1);  // one for both
  CHECK(std::get<channel::Ack>(messages[0]).sequence == 2);
  bench.say(channel::encode(channel::Exited{.sequence = 3, .exit_code = 4}));
  messages = bench.heard();
  REQUIRE(messages.size() == 1);
  CHECK(std::get<channel::Ack>(messages[0]).sequence == 3);
  CHECK(bench.recorder.events ==
        Strings{"spoke", "started 5", "output 1 a", "output 2 b", "exited 4"});
}

TEST_CASE("a guest that boots finds its configuration there, once") {
  Bench bench;
  bench.start(0, GuestLink::Guest::boots);
  auto messages = bench.heard();
  REQUIRE(messages.size() == 2);
  const auto attach = std::get<channel::Attach>(messages[0]);
  CHECK(std::get<channel::Signal>(messages[1]).signo == 99);
  bench.say(channel::guest_preamble(attach.nonce) + channel::encode(channel::Hello{}));
  messages = bench.heard();
  REQUIRE(messages.size() == 1);
  CHECK(std::holds_alternative<channel::Time>(messages[0]));
  bench.vmm.hang_up();  // before the guest has read it: it is asked for anew
  bench.settle();
  bench.settle();
  bench.decoder = {};
  bench.attach({});
  messages = bench.heard();
  REQUIRE(messages.size() == 2);
  CHECK(std::get<channel::Signal>(messages[1]).signo == 99);
}

TEST_CASE("after a drop the link attaches again, behind what it has") {
  Bench bench;
  bench.start(41);
  CHECK(bench.attach({.state = channel::GuestState::kRunning, .pid = 5}).received == 41);
  bench.say(channel::encode(channel::Output{.sequence = 42, .bytes = "x"}) +
            channel::encode(channel::ExecOutput{.id = 3, .bytes = "y"}));
  CHECK(bench.recorder.lost == 0);
  bench.vmm.hang_up();
  bench.settle();
  bench.settle();
  CHECK(bench.recorder.lost == 1);
  REQUIRE(bench.vmm.connections() == 1);
  bench.decoder = {};
  CHECK(bench.attach({.state = channel::GuestState::kRunning, .pid = 5}).received == 42);
  CHECK(bench.recorder.events ==
        Strings{"spoke", "started 5", "output 42 x", "exec 3 y", "spoke", "started 5"});
}

TEST_CASE("a guest whose output is above its pace is acknowledged, and read again later") {
  Bench bench;
  bench.recorder.pause = 400ms;
  bench.start(0);
  bench.attach({.state = channel::GuestState::kRunning});
  bench.say(channel::encode(channel::Output{.sequence = 1, .bytes = "a"}));
  const auto messages = bench.heard();
  REQUIRE(messages.size() == 1);
  CHECK(std::get<channel::Ack>(messages[0]).sequence == 1);
  bench.recorder.pause = 0ms;
  bench.say(channel::encode(channel::Output{.sequence = 2, .bytes = "b"}));
  CHECK(bench.recorder.events.back() == "output 1 a");
  for (int i = 0; i < 100 && bench.recorder.events.back() == "output 1 a"; ++i) bench.settle();
  CHECK(bench.recorder.events.back() == "output 2 b");
}

TEST_CASE("a malformed frame ends the connection, not the link") {
  Bench bench;
  bench.start(0);
  bench.attach({.state = channel::GuestState::kRunning, .pid = 5});
  bench.say(std::string("\xff\xff\xff\xff\x83", 5));
  CHECK_FALSE(bench.link->send("x").has_value());
  CHECK(bench.link->send("x").error().code == Code::unavailable);
}

TEST_CASE("the link ends when the VMM has ended and nothing is left to read") {
  Bench bench;
  bench.start(0);
  bench.attach({.state = channel::GuestState::kRunning, .pid = 5});
  bench.link->vmm_ended();
  bench.settle();
  CHECK(bench.tasks.size() == 1);
  [[maybe_unused]] const auto written = bench.posix->loop().run(
      bench.vmm.guest().write(channel::encode(channel::Exited{.sequence = 1, .exit_code = 9})));
  bench.vmm.close();
  bench.settle();
  CHECK(bench.tasks.size() == 0);
  CHECK(bench.recorder.events.back() == "exited 9");
}
