#include "monitor/vmm_log.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "async/combine.h"
#include "sys/posix_host.h"
#include "vm/spec.h"

using namespace perigee;
using namespace perigee::monitor;
namespace fs = std::filesystem;

namespace {

// The working directory for the time of a test.
class Directory {
 public:
  Directory() {
    std::string name = "/tmp/perigee-logs-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    fs::current_path(name);
    path_ = name;
  }
  ~Directory() {
    fs::current_path(before_);
    fs::remove_all(path_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

 private:
  fs::path before_ = fs::current_path();
  fs::path path_;
};

void say(const sys::Fd& pipe, std::string_view text) {
  REQUIRE(::write(pipe.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

async::Task<void> heard(async::Loop& loop, VmmLog& log) {
  for (int i = 0; i < 400 && log.first_line().empty(); ++i) co_await loop.sleep(5ms);
}

async::Task<void> pump_until_heard(sys::Host& host, VmmLog& log) {
  co_await async::first_of(host.loop, log.pump(host), heard(host.loop, log));
}

}  // namespace

TEST_CASE("a log of somebody else's words is bounded, and its last line can be told") {
  const Directory directory;
  auto console = BoundedLog::open("console.log", "console.1.log", 100);
  REQUIRE(console.has_value());
  CHECK(console->last_line().empty());
  for (int i = 0; i < 50; ++i) console->append(fmt::format("[    0.1] message {}\r\n", i));
  console->append("---[ end ]---\n  \n");
  CHECK(console->last_line() == "---[ end ]---");
  CHECK(fs::file_size("console.log") <= 130);
  CHECK(fs::exists("console.1.log"));
}

TEST_CASE("what a VMM says without end is bounded on disk") {
  const Directory directory;
  const auto pipe = open_vmm_pipe();
  REQUIRE(pipe.has_value());
  auto log = VmmLog::open(VmmLog::Earlier::drop);
  REQUIRE(log.has_value());
  const std::string line = std::string(1023, 'x') + "\n";
  for (int i = 0; i < 2000; ++i) {
    say(*pipe, line);
    if (i % 32 == 31) log->drain();
  }
  CHECK(fs::exists(vm::kOldVmmLog));
  CHECK(fs::file_size(vm::kVmmLog) + fs::file_size(vm::kOldVmmLog) <= 2 * kMaxBoundedLog + 8192);
}

TEST_CASE("a VMM that nobody listens to is not stopped by it") {
  const Directory directory;
  const auto pipe = open_vmm_pipe();
  REQUIRE(pipe.has_value());
  const std::string line(4096, 'x');
  ssize_t written = 0;
  for (int i = 0; i < 100 && written >= 0; ++i) {
    written = ::write(pipe->get(), line.data(), line.size());
  }
  CHECK(written < 0);
  CHECK(errno == EAGAIN);
}

TEST_CASE("a VMM's last words are there when it has ended, and those of an earlier boot are not") {
  const Directory directory;
  {
    const auto pipe = open_vmm_pipe();
    auto log = VmmLog::open(VmmLog::Earlier::drop);
    REQUIRE(log.has_value());
    say(*pipe, "the first boot\n");
    log->drain();
    CHECK(log->first_line() == "the first boot");
  }
  auto pipe = open_vmm_pipe();
  auto log = VmmLog::open(VmmLog::Earlier::drop);
  REQUIRE(log.has_value());
  say(*pipe, "out of memory\nand more\n");
  log->drain();
  CHECK(log->first_line() == "out of memory");
  auto next = VmmLog::open(VmmLog::Earlier::keep);  // of a monitor that adopts the VMM
  REQUIRE(next.has_value());
  CHECK(next->first_line() == "out of memory");
}

TEST_CASE("while the VMM runs its words are taken as they come") {
  const Directory directory;
  auto host = sys::PosixHost::open(0);
  REQUIRE(host.has_value());
  const auto pipe = open_vmm_pipe();
  auto log = VmmLog::open(VmmLog::Earlier::drop);
  REQUIRE(log.has_value());
  say(*pipe, "hello\n");
  (*host)->loop().run(pump_until_heard((*host)->host(), *log));
  CHECK(log->first_line() == "hello");
}
