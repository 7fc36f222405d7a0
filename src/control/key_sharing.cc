#include "control/key_sharing.h"

#include "json/json.h"

namespace perigee::control {

async::Task<Result<void>> KeySharing::check_all_answer() {
  for (const NodeId& control : peers_.others()) {
    const auto answer =
        co_await peers_.ask(control, {.method = "GET", .target = "/internal/v1/reports"}, {});
    if (answer && (*answer)->head.status == 200) continue;
    co_return fail(Code::unavailable,
                   "control on {} does not answer, and every control must have a new key before "
                   "it is used: start it, or `perigee nodes remove` it, then try again",
                   control);
  }
  co_return Result<void>();
}

async::Task<Result<void>> KeySharing::share() {
  Result<void> result;
  for (const NodeId& control : peers_.others()) {
    const Result<void> given = co_await give(control);
    if (!given) result = fail(given.error());
  }
  co_return result;
}

async::Task<Result<void>> KeySharing::give(NodeId control) {
  const json::Value body = json::object({{"key_ring", keys_.ring().text()}});
  CO_TRY(const auto answer,
         co_await peers_.ask(control, {.method = "POST", .target = "/internal/v1/keys/ring"},
                             body.dump()));
  if ((*answer).head.status < 300) co_return Result<void>();
  co_return fail(Code::unavailable, "control on {} did not take the key ring: it answers {}",
                 control, (*answer).head.status);
}

async::Task<Result<void>> KeySharing::take(std::string ring) {
  CO_TRY_VOID(co_await keys_.adopt(std::move(ring)));
  if (keys_.ring().is_current(certificates_.sealed_key())) co_return Result<void>();
  co_return co_await certificates_.seal_key_anew();
}

}  // namespace perigee::control
