// EventStream: a response of server-sent events (WHATWG HTML, section 9.2).
//
//   api::EventStream events(call.request, response);
//   CO_TRY_VOID(co_await events.start());
//   CO_TRY_VOID(co_await events.send("step", json::object({…}), 3));
#pragma once

#include <optional>

#include "api/types.h"

namespace perigee::api {

class EventStream {
 public:
  EventStream(const http::Request& request, http::ResponseWriter& response)
      : request_(request), response_(response) {}
  async::Task<Result<void>> start();
  // `event` empty: the default type. `id` comes back as Last-Event-ID from a client that
  // reconnects.
  async::Task<Result<void>> send(std::string event, json::Value data,
                                 std::optional<std::int64_t> id);
  async::Task<Result<void>> keep_alive();
  async::Task<Result<void>> finish();

 private:
  const http::Request& request_;
  http::ResponseWriter& response_;
};

std::string format_event(std::string_view event, const json::Value& data,
                         std::optional<std::int64_t> id);

}  // namespace perigee::api
