// Reconnect: how a command that watches events goes on when the API is away for a while, as it is
// while control is started again: it says so once, and tries until its patience is over.
//
//   Reconnect reconnect(session, "the log");
//   for (;;) {
//     const auto done = co_await watch(…);         // calls reconnect.connected() on each event
//     if (done) co_return done;
//     CO_TRY_VOID(co_await reconnect.wait(done.error()));
//   }
#pragma once

#include <optional>
#include <string>

#include "cli/session.h"

namespace perigee::cli {

class Reconnect {
 public:
  // `what`: the thing that is watched, for messages.
  Reconnect(Session& session, std::string what) : session_(session), what_(std::move(what)) {}

  // Something has come: what goes wrong next is a new beginning.
  void connected();
  // Until it is time to try again; `error` where that is of no use, or has been tried long enough.
  async::Task<Result<void>> wait(Error error);

 private:
  Session& session_;
  std::string what_;
  std::optional<MonotonicTime> away_since_;
};

// What a stream that should go on ended with.
Error stream_ended(std::string_view what);

}  // namespace perigee::cli
