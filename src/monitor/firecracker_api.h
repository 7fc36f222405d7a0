// FirecrackerApi: a connection to a Firecracker's API: JSON over HTTP/1.1 on a Unix socket, one
// call at a time. It answers while the guest stands still, too; a snapshot holds up all other
// calls.
#pragma once

#include <memory>
#include <string>

#include "async/task.h"
#include "base/result.h"
#include "json/json.h"
#include "monitor/http_reply.h"
#include "sys/host.h"
#include "vm/firecracker.h"

namespace perigee::monitor {

class FirecrackerApi {
 public:
  explicit FirecrackerApi(std::unique_ptr<sys::Stream> stream) : stream_(std::move(stream)) {}

  // The answer's JSON, null where it has none. `internal` with Firecracker's sentence where it
  // refuses; `end_of_stream` when it is gone.
  async::Task<Result<json::Value>> call(vm::ApiCall call);
  async::Task<Result<void>> call_all(std::vector<vm::ApiCall> calls);

 private:
  async::Task<Result<HttpReply>> exchange(std::string request);

  std::unique_ptr<sys::Stream> stream_;
  HttpReplyReader reader_;
};

// The request's bytes; pure.
std::string api_request(const vm::ApiCall& call);

}  // namespace perigee::monitor
