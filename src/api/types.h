// What a function of an API gets and gives.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "http/message.h"
#include "json/json.h"

namespace perigee::api {

// One request that matched a route. Lives until the function's task has ended.
struct Call {
  http::Request& request;
  std::vector<std::pair<std::string, std::string>> params;  // of the pattern, percent-decoded
  json::Value body;                                         // null where there is none

  // A parameter of the route's pattern; empty where the pattern has no such one.
  const std::string& param(std::string_view name) const;
  // A query parameter; nullopt where absent.
  std::optional<std::string> query(std::string_view name) const;
  // A query parameter that is true for "1", "true" and a bare name.
  bool flag(std::string_view name) const;
};

struct Reply {
  int status = 200;
  json::Value body;  // null: no body
};

// Answers with one JSON value.
using Answer = std::function<async::Task<Result<Reply>>(Call&)>;
// Writes the response itself. An error before `start` becomes an error reply, after it a cut one.
using Streamer = std::function<async::Task<Result<void>>(Call&, http::ResponseWriter&)>;
// May this request be served at all?
using Guard = std::function<Result<void>(const http::Request&)>;

}  // namespace perigee::api
