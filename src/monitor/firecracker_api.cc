#include "monitor/firecracker_api.h"

#include <array>

namespace perigee::monitor {

std::string api_request(const vm::ApiCall& call) {
  std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n", call.method, call.path);
  if (call.body.is_null()) return request + "\r\n";
  const std::string body = call.body.dump();
  return request + fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                               body.size(), body);
}

async::Task<Result<HttpReply>> FirecrackerApi::exchange(std::string request) {
  CO_TRY_VOID(co_await stream_->write(request));
  std::array<char, 4096> buffer;
  while (true) {
    CO_TRY(auto reply, reader_.next());
    if (reply) co_return *std::move(reply);
    CO_TRY(const std::size_t n, co_await stream_->read(buffer));
    if (n == 0) co_return fail(Code::end_of_stream, "Firecracker has closed its API");
    reader_.feed(std::string_view(buffer.data(), n));
  }
}

async::Task<Result<json::Value>> FirecrackerApi::call(vm::ApiCall call) {
  const std::string what = fmt::format("Firecracker: {} {}", call.method, call.path);
  auto reply = co_await exchange(api_request(call));
  if (!reply) co_return fail(std::move(reply).error().with(what));
  json::Value answer;
  if (!reply->body.empty()) {
    CO_TRY_AS(answer, json::parse(reply->body), what);
  }
  if (reply->status == 200 || reply->status == 204) co_return answer;
  CO_TRY(const std::string words, answer.optional_string("fault_message", "no reason given"));
  co_return fail(Code::internal, "{}: {} {}", what, reply->status, words);
}

async::Task<Result<void>> FirecrackerApi::call_all(std::vector<vm::ApiCall> calls) {
  for (vm::ApiCall& each : calls) {
    CO_TRY([[maybe_unused]] const json::Value done, co_await call(std::move(each)));
  }
  co_return Result<void>();
}

}  // namespace perigee::monitor
