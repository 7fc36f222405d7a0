#include "sys/kernel_pipe.h"

#include <doctest/doctest.h>

#include "async/combine.h"
#include "async/task_group.h"
#include "sys/posix_host.h"

namespace perigee::sys {
namespace {

// near ── in | pipe | out ── far: two connections over loopback.
struct PipeFixture {
  PipeFixture() {
    const auto listener = *network().listen(*Address::parse("127.0.0.1:0"));
    const auto make = [&](std::unique_ptr<Stream>& client, std::unique_ptr<Stream>& server) {
      client = *host->loop().run(network().connect(listener->local(), soon()));
      server = *host->loop().run(listener->accept());
    };
    make(near, in);
    make(far, out);
  }
  Network& network() { return host->host().network; }
  Deadline soon() { return host->loop().deadline_in(10s); }

  static async::Task<void> carry(PipeFixture& f, KernelPipe::Outcome& last) {
    auto pipe = KernelPipe::open();
    for (;;) {
      const KernelPipe::Step step = co_await pipe->move(*f.in, *f.out);
      f.moved += step.bytes;
      last = step.outcome;
      if (last != KernelPipe::Outcome::moved) break;
    }
    std::ignore = f.out->shutdown_write();
  }
  static async::Task<void> send(Stream& stream, const std::string& text) {
    std::ignore = co_await stream.write(text);
    std::ignore = stream.shutdown_write();
  }
  static async::Task<std::string> receive(Stream& stream) {
    std::string all;
    std::vector<char> buffer(50'000);
    for (;;) {
      const auto n = co_await stream.read(buffer);
      if (!n || *n == 0) co_return all;
      all.append(buffer.data(), *n);
    }
  }

  std::unique_ptr<PosixHost> host = *PosixHost::open(1);
  std::unique_ptr<Stream> near, in, out, far;
  std::uint64_t moved = 0;
  async::TaskGroup tasks{host->loop()};
};

TEST_CASE_FIXTURE(PipeFixture, "all bytes arrive in order, and their end is seen") {
  REQUIRE(KernelPipe::joins(*in, *out));
  std::string text;
  for (int i = 0; i < 1'000'000; ++i) text += std::to_string(i);
  auto last = KernelPipe::Outcome::moved;
  tasks.spawn(carry(*this, last));
  tasks.spawn(send(*near, text));
  CHECK(host->loop().run(receive(*far)) == text);
  CHECK(last == KernelPipe::Outcome::end);
  CHECK(moved == text.size());
}

TEST_CASE_FIXTURE(PipeFixture, "one that takes no more is told from one that has gone") {
  auto last = KernelPipe::Outcome::moved;
  far.reset();
  tasks.spawn(carry(*this, last));
  const std::string text(10'000'000, 'x');
  std::ignore = host->loop().run(
      async::with_deadline(host->loop(), host->loop().deadline_in(300ms), near->write(text), ""));
  CHECK(last == KernelPipe::Outcome::sink_lost);
}

}  // namespace
}  // namespace perigee::sys
