// Client's calls on one machine.
#include "client/client.h"
#include "client/limits.h"

namespace perigee::client {
namespace {

std::string path_of(std::string_view app, std::string_view id, std::string_view rest = {}) {
  return fmt::format("/v1/apps/{}/machines/{}{}", http::percent_encode(app),
                     http::percent_encode(id), rest);
}

Result<MachineInfo> machine_in(const Result<json::Value>& answer) {
  if (!answer) return fail(answer.error());
  TRY_AS(MachineInfo machine, machine_info_from(*answer), "the API's answer");
  return machine;
}

template <typename Answer>
Result<void> done(const Result<Answer>& answer) {
  if (!answer) return fail(answer.error());
  return {};
}

}  // namespace

async::Task<Result<MachineInfo>> Client::create_machine(std::string app, json::Value body) {
  const std::string target = fmt::format("/v1/apps/{}/machines", http::percent_encode(app));
  co_return machine_in(co_await call("POST", target, std::move(body)));
}

async::Task<Result<MachineInfo>> Client::update_machine(std::string app, std::string id,
                                                        json::Value body) {
  co_return machine_in(co_await call("POST", path_of(app, id), std::move(body)));
}

async::Task<Result<void>> Client::destroy_machine(std::string app, std::string id, Force force) {
  const char* how = force == Force::yes ? "?force=true" : "";
  co_return done(co_await call("DELETE", path_of(app, id, how), {}));
}

async::Task<Result<void>> Client::wait_machine(std::string app, std::string id, std::string state,
                                               Duration timeout) {
  const std::string query =
      fmt::format("/wait?state={}&timeout={}", http::percent_encode(state), to_ms(timeout) / 1000);
  co_return done(
      co_await exchange(head("GET", path_of(app, id, query)), {}, timeout + kCallTimeout));
}

async::Task<Result<json::Value>> Client::lease(std::string app, std::string id) {
  CO_TRY(const json::Value answer, co_await call("GET", path_of(app, id, "/lease"), {}));
  const json::Value* data = answer.find("data");
  if (data == nullptr) co_return fail(Code::internal, "the API's answer: data: missing");
  co_return *data;
}

async::Task<Result<void>> Client::release_lease(std::string app, std::string id,
                                                std::string nonce) {
  http::RequestHead request = head("DELETE", path_of(app, id, "/lease"));
  request.headers.add("perigee-machine-lease-nonce", nonce);
  co_return done(co_await exchange(std::move(request), {}, kCallTimeout));
}

async::Task<Result<json::Value>> Client::metadata(std::string app, std::string id) {
  return call("GET", path_of(app, id, "/metadata"), {});
}

async::Task<Result<void>> Client::set_metadata(std::string app, std::string id, std::string key,
                                               std::string value) {
  const std::string target = path_of(app, id, "/metadata/" + http::percent_encode(key));
  co_return done(co_await call("POST", target, json::object({{"value", value}})));
}

async::Task<Result<void>> Client::unset_metadata(std::string app, std::string id, std::string key) {
  const std::string target = path_of(app, id, "/metadata/" + http::percent_encode(key));
  co_return done(co_await call("DELETE", target, {}));
}

}  // namespace perigee::client
