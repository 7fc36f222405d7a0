// One attempt of one check: a connection of its own to the machine, for tcp no more than that, for
// http a request whose answer must be 2xx. Bounded by the check's timeout; of the answer's body a
// few bytes are read, to be shown.
#pragma once

#include <string>

#include "async/task.h"
#include "model/types.h"
#include "sys/host.h"
#include "worker/check_progress.h"

namespace perigee::worker {

struct CheckAttempt {
  CheckOutcome outcome;
  bool connected = false;  // something listens there
};

// `check` has its port. `address`: the machine's.
async::Task<CheckAttempt> attempt_check(sys::Host& host, model::Check check, std::string address);

// What an HTTP answer means, as it is shown: "HTTP 500 Internal Server Error: its first line".
CheckOutcome judge_answer(int status, std::string_view body);

}  // namespace perigee::worker
