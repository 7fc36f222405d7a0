#include "api/endpoint.h"

#include "api/limits.h"
#include "base/log.h"
#include "base/text.h"

namespace perigee::api {
namespace {

constexpr std::string_view kJson = "application/json";

async::Task<Result<void>> send_json(const http::Request& request, http::ResponseWriter& response,
                                    http::ResponseHead head, json::Value body) {
  std::string text = body.is_null() ? std::string() : body.dump() + "\n";
  if (request.head.method == "HEAD") text.clear();
  co_return co_await response.send(std::move(head), std::move(text));
}

async::Task<Result<void>> send_error(const http::Request& request, http::ResponseWriter& response,
                                     int status, Error error, std::string allow) {
  http::ResponseHead head = response_head(request, status, kJson);
  if (status == 401) head.headers.set("WWW-Authenticate", "Bearer");
  if (!allow.empty()) head.headers.set("Allow", allow);
  if (status == 503) head.headers.set("Retry-After", "1");
  co_return co_await send_json(request, response, std::move(head),
                               error_body(error, request.request_id));
}

// Not the code's usual 503: the caller must send less, not wait.
Error too_big(std::size_t max) {
  Error error =
      Error::make(Code::resource_exhausted, fmt::format("request body: at most {} bytes", max));
  error.fault = Fault::caller;
  error.retry = Retry::no;
  return error;
}

int status_of(const Error& error) {
  if (error.code == Code::resource_exhausted && error.fault == Fault::caller) return 413;
  return info(error.code).http_status;
}

async::Task<Result<json::Value>> read_body(http::Request& request, std::size_t max) {
  const std::string& method = request.head.method;
  if (method == "GET" || method == "HEAD") co_return json::Value();
  if (request.body.length().value_or(0) > max) co_return fail(too_big(max));
  auto text_read = co_await http::read_all(request.body, max);
  if (!text_read && text_read.error().code == Code::resource_exhausted) {
    co_return fail(too_big(max));
  }
  CO_TRY_AS(const std::string text, std::move(text_read), "request body");
  if (trim(text).empty()) co_return json::Value();
  CO_TRY_AS(json::Value value, json::parse(text), "request body");
  if (!value.is_object())
    co_return fail(Code::invalid_argument, "request body: expected a JSON object");
  co_return value;
}

}  // namespace

http::ResponseHead response_head(const http::Request& request, int status,
                                 std::string_view content_type) {
  http::ResponseHead head{.status = status};
  if (!content_type.empty()) head.headers.set("Content-Type", content_type);
  head.headers.set("perigee-request-id", request.request_id);
  head.headers.set("fly-request-id", request.request_id);
  return head;
}

json::Value error_body(const Error& error, std::string_view request_id) {
  return json::object(
      {{"error", error.context}, {"status", info(error.code).name}, {"request_id", request_id}});
}

async::Task<void> Endpoint::handle(http::Request& request, http::ResponseWriter& response) {
  const std::string path(request.head.path());
  RouteTable::Match match = table_.match(request.head.method, path);
  Result<void> done;
  int status = 0;
  if (match.route != nullptr) {
    Call call{.request = request, .params = std::move(match.params), .body = {}};
    done = co_await serve(*match.route, call, response);
  } else if (!match.allowed.empty()) {
    status = 405;
    done = fail(Code::unsupported, "{} {}: this path answers {}", request.head.method, path,
                join(match.allowed, ", "));
  } else {
    done = fail(Code::not_found, "{} {}: no such path in this API", request.head.method, path);
  }
  if (done) co_return;
  const Error& error = done.error();
  if (status == 0) status = status_of(error);
  if (status >= 500) {
    log_warning(name_, "{} {}: {} (request {})", request.head.method, path, error.context,
                request.request_id);
  }
  if (response.started()) co_return;
  [[maybe_unused]] const auto sent =
      co_await send_error(request, response, status, error, join(match.allowed, ", "));
}

async::Task<Result<void>> Endpoint::serve(const RouteTable::Route& route, Call& call,
                                          http::ResponseWriter& response) {
  CO_TRY_VOID(route.guard(call.request));
  if (const auto* streamer = std::get_if<Streamer>(&route.function))
    co_return co_await (*streamer)(call, response);
  co_return co_await answer(std::get<Answer>(route.function), call, response);
}

async::Task<Result<void>> Endpoint::answer(const Answer& function, Call& call,
                                           http::ResponseWriter& response) {
  CO_TRY(call.body, co_await read_body(call.request, max_body_));
  CO_TRY(Reply reply, co_await function(call));
  http::ResponseHead head =
      response_head(call.request, reply.status, reply.body.is_null() ? "" : kJson);
  // A client that has gone away is no failure of the call.
  [[maybe_unused]] const auto sent =
      co_await send_json(call.request, response, std::move(head), std::move(reply.body));
  co_return Result<void>();
}

}  // namespace perigee::api
