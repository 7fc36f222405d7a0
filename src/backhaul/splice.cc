#include "backhaul/splice.h"

#include <limits>
#include <memory>
#include <optional>
#include <span>

#include "async/combine.h"
#include "async/event.h"
#include "async/task_group.h"
#include "backhaul/limits.h"
#include "sys/kernel_pipe.h"

namespace perigee::backhaul {
namespace {

// How a direction ended.
enum class End { finished, source_lost, sink_lost };

// Through a buffer, until so many bytes have gone. Nullopt: they have.
async::Task<std::optional<End>> copy(sys::Stream& from, sys::Stream& to, std::uint64_t& bytes,
                                     std::uint64_t most) {
  const auto storage = std::make_unique_for_overwrite<char[]>(kSpliceBuffer);
  const std::span<char> buffer(storage.get(), kSpliceBuffer);
  while (bytes < most) {
    const auto count = co_await from.read(buffer);
    if (!count) co_return End::source_lost;
    if (*count == 0) co_return to.shutdown_write() ? End::finished : End::sink_lost;
    if (!co_await to.write(std::string_view(buffer.data(), *count))) co_return End::sink_lost;
    bytes += *count;
  }
  co_return std::nullopt;
}

async::Task<End> move_in_kernel(sys::KernelPipe pipe, sys::Stream& from, sys::Stream& to,
                                std::uint64_t& bytes) {
  for (;;) {
    const sys::KernelPipe::Step step = co_await pipe.move(from, to);
    bytes += step.bytes;
    switch (step.outcome) {
      case sys::KernelPipe::Outcome::moved:
        break;
      case sys::KernelPipe::Outcome::end:
        co_return to.shutdown_write() ? End::finished : End::sink_lost;
      case sys::KernelPipe::Outcome::source_lost:
        co_return End::source_lost;
      case sys::KernelPipe::Outcome::sink_lost:
        co_return End::sink_lost;
    }
  }
}

// Small messages are cheaper by a copy, and most directions never carry more.
async::Task<End> carry_all(sys::Stream& from, sys::Stream& to, std::uint64_t& bytes) {
  constexpr auto kAll = std::numeric_limits<std::uint64_t>::max();
  const bool joins = sys::KernelPipe::joins(from, to);
  auto end = co_await copy(from, to, bytes, joins ? kSpliceAfter : kAll);
  if (end) co_return *end;
  auto pipe = sys::KernelPipe::open();
  if (pipe) co_return co_await move_in_kernel(*std::move(pipe), from, to, bytes);
  end = co_await copy(from, to, bytes, kAll);
  co_return end.value_or(End::finished);
}

struct Losses {
  explicit Losses(async::Loop& loop) : source(loop), sink(loop) {}
  async::Event source;
  async::Event sink;
};

async::Task<void> carry(sys::Stream& from, sys::Stream& to, std::uint64_t& bytes, Losses& losses) {
  const End end = co_await carry_all(from, to, bytes);
  if (end == End::source_lost) losses.source.set();
  if (end == End::sink_lost) losses.sink.set();
}

// One that takes no more may have said something before: the other direction gets a while for it.
async::Task<void> linger(async::Loop& loop, Losses& losses) {
  co_await losses.sink.wait();
  co_await loop.sleep(kSpliceLinger);
}

async::Task<void> hopeless(async::Loop& loop, Losses& losses) {
  co_await async::first_of(loop, losses.source.wait(), linger(loop, losses));
}

}  // namespace

async::Task<void> splice(async::Loop& loop, sys::Stream& near, sys::Stream& far, Traffic& traffic) {
  Losses losses(loop);
  async::TaskGroup directions(loop);
  directions.spawn(carry(near, far, traffic.to_far, losses));
  directions.spawn(carry(far, near, traffic.to_near, losses));
  co_await async::first_of(loop, directions.drained(), hopeless(loop, losses));
}

}  // namespace perigee::backhaul
