// Endpoint: the http::Handler of an API: finds the route, asks its guard, reads the JSON body,
// calls, answers. Errors become JSON bodies; each response carries the request's id.
#pragma once

#include "api/limits.h"
#include "api/route_table.h"
#include "http/message.h"

namespace perigee::api {

class Endpoint : public http::Handler {
 public:
  // `name` stands in log lines. The table must outlive the endpoint.
  Endpoint(std::string name, const RouteTable& table, std::size_t max_body = kMaxBodyBytes)
      : name_(std::move(name)), table_(table), max_body_(max_body) {}
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;

 private:
  async::Task<Result<void>> answer(const Answer& function, Call& call,
                                   http::ResponseWriter& response);
  async::Task<Result<void>> serve(const RouteTable::Route& route, Call& call,
                                  http::ResponseWriter& response);

  std::string name_;
  const RouteTable& table_;
  std::size_t max_body_;
};

// A response head with the request's id and a content type ("" for none).
http::ResponseHead response_head(const http::Request& request, int status,
                                 std::string_view content_type);
// {"error": sentence, "status": code name, "request_id": …}
json::Value error_body(const Error& error, std::string_view request_id);

}  // namespace perigee::api
