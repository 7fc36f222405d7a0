// ReplayBody: a request's body that can be read once more from its start, as long as not too much
// of it has been read. A machine may refuse a request, or have it taken elsewhere, when part of the
// body is on its way there: it then goes to the next machine whole.
//
// Keeps nothing before `record`, and nothing any more once kMaxReplay is passed, or the app's
// budget is used up.
#pragma once

#include <string>

#include "http/message.h"
#include "router/app_budgets.h"
#include "router/forwarding.h"

namespace perigee::router {

class ReplayBody : public http::Body {
 public:
  explicit ReplayBody(http::Body& source) : source_(source) {}

  // `budget`: of kept bytes. Nothing changes where it records already.
  void record(AppBudgets::Share budget = {});
  // Back to the start. False: bytes that were read have not been kept.
  bool rewind();
  // The answer is there: what was kept is not needed any more.
  void forget();

  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  std::optional<std::uint64_t> length() const override { return source_.length(); }
  std::size_t ready() const override;
  http::Headers trailers() const override { return forwarded_trailers(source_.trailers()); }

 private:
  void let_go();

  http::Body& source_;
  AppBudgets::Share budget_;
  bool recording_ = false;
  std::string kept_;          // the first bytes, while recording
  std::size_t position_ = 0;  // of the next read in `kept_`
  std::uint64_t taken_ = 0;   // from the source
};

}  // namespace perigee::router
