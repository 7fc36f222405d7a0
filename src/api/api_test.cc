// The API's frame over real loopback sockets: routing, guards, bodies, errors, events.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "api/endpoint.h"
#include "api/event_stream.h"
#include "api/limits.h"
#include "api/tokens.h"
#include "async/task_group.h"
#include "crypto/hash.h"
#include "http/client.h"
#include "http/server.h"
#include "sys/posix_host.h"

namespace perigee::api {
namespace {

async::Task<Result<Reply>> echo(Call& call) {
  co_return Reply{201, json::object({{"a", call.param("a")}, {"body", call.body}})};
}
async::Task<Result<Reply>> literal(Call&) {
  co_return Reply{200, json::object({{"literal", true}})};
}
async::Task<Result<Reply>> broken(Call&) {
  co_return fail(Code::unavailable, "the worker is away");
}
async::Task<Result<Reply>> quiet(Call&) {
  co_return Reply{204, {}};
}
async::Task<Result<void>> events(Call& call, http::ResponseWriter& response) {
  EventStream stream(call.request, response);
  CO_TRY_VOID(co_await stream.start());
  CO_TRY_VOID(co_await stream.send("step", json::object({{"n", 1}}), 7));
  CO_TRY_VOID(co_await stream.keep_alive());
  co_return co_await stream.finish();
}

struct Got {
  int status = 0;
  http::Headers headers;
  std::string text;
};

async::Task<Result<Got>> ask(http::Client& client, sys::Address to, http::RequestHead head,
                             std::string body, Deadline deadline) {
  CO_TRY(auto response, co_await client.request(to, std::move(head), std::move(body), deadline));
  CO_TRY(std::string text, co_await http::read_all(response->body(), 1 << 20));
  co_return Got{response->head.status, response->head.headers, std::move(text)};
}

struct Fixture {
  Fixture() {
    std::string pattern = "/tmp/perigee-api-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    tokens.replace({crypto::sha256_hex("other"), crypto::sha256_hex("secret")});
    table.answer("POST", "/v1/x/{a}", tokens.guard(), echo);
    table.answer("GET", "/v1/x/{a}", tokens.guard(), echo);
    table.answer("GET", "/v1/x/fixed", tokens.guard(), literal);
    table.answer("GET", "/open/broken", open_to_all(), broken);
    table.answer("DELETE", "/open/quiet", open_to_all(), quiet);
    table.stream("GET", "/open/events", open_to_all(), events);
    table.answer("GET", "/internal/mine", uid_guard({::getuid()}), literal);
    table.answer("GET", "/internal/other", uid_guard({::getuid() + 1}), literal);
    auto tcp = *host->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
    auto local = *host->host().network.listen(*sys::Address::unix_path(directory + "/s"));
    address = tcp->local();
    unix_address = local->local();
    group.spawn(server.serve(std::move(tcp)));
    group.spawn(server.serve(std::move(local)));
  }
  ~Fixture() { std::filesystem::remove_all(directory); }

  Got call(std::string method, std::string target, std::string body = {},
           std::string authorization = "Bearer secret", bool local = false) {
    http::RequestHead head{.method = std::move(method), .target = std::move(target)};
    head.headers.add("Host", "api");
    if (!authorization.empty()) head.headers.add("Authorization", authorization);
    auto got = host->loop().run(ask(client, local ? unix_address : address, std::move(head),
                                    std::move(body), host->loop().deadline_in(10s)));
    REQUIRE(got.has_value());
    return *got;
  }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  std::string directory;
  Tokens tokens;
  RouteTable table;
  Endpoint endpoint{"api", table};
  http::Server server{host->host(), endpoint, {}};
  http::Client client{host->host(), {}};
  async::TaskGroup group{host->loop()};
  sys::Address address;
  sys::Address unix_address;
};

TEST_CASE_FIXTURE(Fixture, "a call gets its parameters and its JSON body, and answers with JSON") {
  const Got got = call("POST", "/v1/x/caf%C3%A9?q=1", R"({"n": [1, 2]})");
  CHECK(got.status == 201);
  CHECK(got.text == "{\"a\":\"caf\xc3\xa9\",\"body\":{\"n\":[1,2]}}\n");
  CHECK(*got.headers.find("content-type") == "application/json");
  CHECK(got.headers.find("perigee-request-id")->size() >= 16);
  CHECK(*got.headers.find("fly-request-id") == *got.headers.find("perigee-request-id"));
  CHECK(call("DELETE", "/open/quiet").status == 204);
}

TEST_CASE_FIXTURE(Fixture, "a literal segment wins over a parameter") {
  CHECK(call("GET", "/v1/x/fixed").text == "{\"literal\":true}\n");
}

TEST_CASE_FIXTURE(Fixture, "a path or method that is not there says so") {
  const Got missing = call("GET", "/v1/nothing");
  CHECK(missing.status == 404);
  CHECK(json::parse(missing.text)->find("error")->string()->find("/v1/nothing") !=
        std::string::npos);
  const Got method = call("PUT", "/v1/x/1");
  CHECK(method.status == 405);
  CHECK(*method.headers.find("allow") == "POST, GET");
  CHECK(call("GET", "/v1/x/").status == 404);
  CHECK(call("GET", "/v1/x/a%2Fb").text == "{\"a\":\"a/b\",\"body\":null}\n");
}

TEST_CASE_FIXTURE(Fixture, "without a known token nothing is served") {
  for (const char* authorization :
       {"", "Bearer", "Bearer ", "Bearer wrong", "Basic secret", "secret", "Bearer secretx"}) {
    CAPTURE(authorization);
    const Got got = call("GET", "/v1/x/1", "", authorization);
    CHECK(got.status == 401);
    CHECK(*got.headers.find("www-authenticate") == "Bearer");
    CHECK(*json::parse(got.text)->find("status")->string() == "unauthenticated");
  }
  for (const char* authorization : {"Bearer secret", "bearer  secret ", "FlyV1 other"})
    CHECK(call("GET", "/v1/x/1", "", authorization).status == 201);
}

TEST_CASE_FIXTURE(Fixture, "a body that is no JSON object, or too big, is the caller's error") {
  for (const char* body : {"{", "[1]", "{\"a\":1} x", "\"text\""}) {
    const Got got = call("POST", "/v1/x/1", body);
    CHECK(got.status == 400);
    CHECK(json::parse(got.text)->find("error")->string()->find("request body") == 0);
  }
  const Got big = call("POST", "/v1/x/1", std::string(kMaxBodyBytes + 1, ' '));
  CHECK(big.status == 413);
}

TEST_CASE_FIXTURE(Fixture, "an error carries sentence, code and request id") {
  const Got got = call("GET", "/open/broken");
  CHECK(got.status == 503);
  const json::Value body = *json::parse(got.text);
  CHECK(*body.find("error")->string() == "the worker is away");
  CHECK(*body.find("status")->string() == "unavailable");
  CHECK(*body.find("request_id")->string() == *got.headers.find("perigee-request-id"));
}

TEST_CASE_FIXTURE(Fixture, "internal paths ask who is at the other end of the Unix socket") {
  CHECK(call("GET", "/internal/mine", "", "", true).status == 200);
  CHECK(call("GET", "/internal/other", "", "", true).status == 403);
  CHECK(call("GET", "/internal/mine", "", "Bearer secret", false).status == 403);
}

TEST_CASE_FIXTURE(Fixture, "events go out as server-sent events") {
  const Got got = call("GET", "/open/events");
  CHECK(*got.headers.find("content-type") == "text/event-stream");
  CHECK(got.text == "id: 7\nevent: step\ndata: {\"n\":1}\n\n: keep-alive\n\n");
}

}  // namespace
}  // namespace perigee::api
