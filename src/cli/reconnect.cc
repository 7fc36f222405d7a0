#include "cli/reconnect.h"

#include <cstdio>

namespace perigee::cli {
namespace {

constexpr Duration kPause = 500ms;
constexpr Duration kPatience = 60s;  // a restart of control takes a second or two

}  // namespace

void Reconnect::connected() {
  if (!away_since_) return;
  away_since_.reset();
  (void)std::fprintf(stderr, "%s: connected again\n", what_.c_str());
}

async::Task<Result<void>> Reconnect::wait(Error error) {
  if (error.retry == Retry::no) co_return fail(std::move(error));
  async::Loop& loop = session_.host().loop;
  if (!away_since_) {
    away_since_ = loop.now();
    (void)std::fprintf(stderr, "%s: %s; trying again\n", what_.c_str(), error.context.c_str());
  }
  if (loop.now() - *away_since_ > kPatience) co_return fail(std::move(error));
  co_await loop.sleep(kPause);
  co_return Result<void>();
}

Error stream_ended(std::string_view what) {
  return Error::make(Code::end_of_stream, fmt::format("the API ended {}", what));
}

}  // namespace perigee::cli
