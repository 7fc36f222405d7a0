#include "backhaul/splice.h"

#include <memory>
#include <span>

#include "async/combine.h"
#include "async/event.h"
#include "async/task_group.h"
#include "backhaul/limits.h"

namespace perigee::backhaul {
namespace {

async::Task<Result<void>> carry_all(sys::Stream& from, sys::Stream& to, std::uint64_t& bytes) {
  const auto storage = std::make_unique_for_overwrite<char[]>(kSpliceBuffer);
  const std::span<char> buffer(storage.get(), kSpliceBuffer);
  for (;;) {
    CO_TRY(const std::size_t count, co_await from.read(buffer));
    if (count == 0) co_return to.shutdown_write();
    CO_TRY_VOID(co_await to.write(std::string_view(buffer.data(), count)));
    bytes += count;
  }
}

async::Task<void> carry(sys::Stream& from, sys::Stream& to, std::uint64_t& bytes,
                        async::Event& broken) {
  if (!co_await carry_all(from, to, bytes)) broken.set();
}

}  // namespace

async::Task<void> splice(async::Loop& loop, sys::Stream& near, sys::Stream& far,
                         std::uint64_t& bytes) {
  std::uint64_t to_far = 0;
  async::Event broken(loop);
  async::TaskGroup directions(loop);
  directions.spawn(carry(near, far, to_far, broken));
  directions.spawn(carry(far, near, bytes, broken));
  co_await async::first_of(loop, directions.drained(), broken.wait());
}

}  // namespace perigee::backhaul
