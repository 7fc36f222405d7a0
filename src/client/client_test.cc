// The event parser by table, and the client against a real server on loopback.
#include "client/client.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <tuple>

#include "async/task_group.h"
#include "client/limits.h"
#include "http/server.h"
#include "sys/posix_host.h"

namespace perigee::client {
namespace {

std::vector<Event> parse(std::vector<std::string_view> pieces) {
  EventParser parser;
  std::vector<Event> out;
  for (const std::string_view piece : pieces) REQUIRE(parser.feed(piece).has_value());
  while (auto event = parser.next()) out.push_back(*std::move(event));
  return out;
}

TEST_CASE("events come out whatever the line ends and the cuts") {
  const std::pair<std::string, std::vector<Event>> cases[] = {
      {"event: step\ndata: {}\nid: 3\n\n", {{"step", "{}", "3"}}},
      {"data: x\r\ndata: y\r\n\r\n", {{"message", "x\ny", ""}}},
      {"data:a\rdata\r\r", {{"message", "a\n", ""}}},
      {": keep-alive\n\ndata:  two\n\n", {{"message", " two", ""}}},
      {"\xef\xbb\xbf"
       "data: marked\n\n",
       {{"message", "marked", ""}}},
      {"event: none\n\ndata: cut off\n", {}},
      {"id: 1\ndata: a\n\ndata: b\n\n", {{"message", "a", "1"}, {"message", "b", "1"}}},
      {"data: \n\nunknown: x\nretry: 5\n\n", {{"message", "", ""}}},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    const std::string_view whole = text;
    for (std::size_t cut = 0; cut <= whole.size(); ++cut)
      CHECK(parse({whole.substr(0, cut), whole.substr(cut)}) == expected);
  }
}

TEST_CASE("an event has a largest size, in one line or in many") {
  EventParser one;
  CHECK(one.feed(std::string(kMaxEventBytes + 1, 'x')).error().code == Code::resource_exhausted);
  EventParser many;
  const std::string line = "data: " + std::string(1000, 'x') + "\n";
  Result<void> fed;
  for (std::size_t i = 0; fed && i <= kMaxEventBytes / 1000; ++i) fed = many.feed(line);
  REQUIRE_FALSE(fed.has_value());
  CHECK(fed.error().code == Code::resource_exhausted);
}

// Answers by "METHOD target" from a table; remembers what it was sent.
class FakeApi : public http::Handler {
 public:
  struct Answer {
    int status = 200;
    std::string body;
  };
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    const std::string_view* given = request.head.headers.find("Authorization");
    token = given == nullptr ? "" : *given;
    asked = request.head.method + " " + request.head.target;
    received = (co_await http::read_all(request.body, 16 * 1024 * 1024)).value_or("unreadable");
    const auto found = answers.find(asked);
    Answer answer = found == answers.end() ? Answer{404, ""} : found->second;
    std::ignore = co_await response.send({.status = answer.status}, std::move(answer.body));
  }
  std::map<std::string, Answer> answers;
  std::string token;
  std::string asked;
  std::string received;
};

struct Fixture {
  Fixture() : host(*sys::PosixHost::open(1)), group(host->loop()) {
    auto listener = *host->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
    url = "http://" + listener->local().str();
    server = std::make_unique<http::Server>(host->host(), fake, http::ServerLimits{});
    group.spawn(server->serve(std::move(listener)));
    api = *Client::create(host->host(), url, "secret");
  }
  template <typename T>
  T run(async::Task<T> task) {
    return host->loop().run(std::move(task));
  }

  std::unique_ptr<sys::PosixHost> host;
  FakeApi fake;
  std::unique_ptr<http::Server> server;
  async::TaskGroup group;
  std::string url;
  std::unique_ptr<Client> api;
};

TEST_CASE_FIXTURE(Fixture, "a call carries the token and reads the API's shapes") {
  fake.answers["GET /v1/apps/hello/machines"] = {
      200, R"([{"id":"148e","state":"started","release":3,"private_ip":"10.201.0.2",
                "restart_count":2,"listening":true,"started_at":"2026-03-17T09:00:00.000Z"}])"};
  const auto machines = run(api->machines("hello"));
  REQUIRE_MESSAGE(machines.has_value(), (machines ? "" : machines.error().context));
  CHECK(fake.token == "Bearer secret");
  REQUIRE(machines->size() == 1);
  CHECK(machines->front().release == 3);
  CHECK(machines->front().restart_count == 2);
  CHECK(machines->front().document.find("listening") != nullptr);
  fake.answers["GET /v1/apps"] = {200, R"({"total_apps":1,"apps":[{"name":"hello"}]})"};
  CHECK(run(api->apps())->front().name == "hello");
  fake.answers["GET /v1/nodes"] = {200, R"({"nodes":[{"name":"n1","state":"ready","cpus":2}]})"};
  CHECK(run(api->nodes())->front().cpus == 2);
}

TEST_CASE_FIXTURE(Fixture, "a deploy sends image, configuration, region and count") {
  fake.answers["POST /v1/apps/hello/releases"] = {202, R"({"version":4,"status":"pending"})"};
  NewRelease release{.image = "nginx:1", .config = {}, .region = RegionCode("iad"), .count = 2};
  release.config.env = {{"A", "b"}};
  CHECK(run(api->deploy("hello", release))->version == 4);
  const json::Value sent = *json::parse(fake.received);
  CHECK(sent.require_string("image") == "nginx:1");
  CHECK(sent.require_string("region") == "iad");
  CHECK(sent.require_int("count") == 2);
  CHECK(sent.find("config")->find("env")->dump() == R"({"A":"b"})");
}

TEST_CASE_FIXTURE(Fixture, "an error has the API's code and sentence") {
  fake.answers["GET /v1/apps/x"] = {404, R"({"error":"no app \"x\"","status":"not_found"})"};
  const auto missing = run(api->app("x"));
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == Code::not_found);
  CHECK(missing.error().context == "no app \"x\"");
  fake.answers["DELETE /v1/apps/x"] = {502, "<html>"};
  CHECK(run(api->destroy_app("x")).error().context == "the API answered 502 Bad Gateway");
  fake.answers["POST /v1/apps/x/machines/1/stop"] = {401, R"({"error":"no such token"})"};
  const auto refused = run(api->act("x", "1", "stop"));
  CHECK(refused.error().code == Code::unauthenticated);
  CHECK(refused.error().context.find("--token") != std::string::npos);
  fake.answers["GET /v1/apps"] = {200, R"({"apps":[{"status":"deployed"}]})"};
  CHECK(run(api->apps()).error().context == "the API's answer: name: missing");
}

TEST_CASE_FIXTURE(Fixture, "a name with odd characters stays one segment of the path") {
  std::ignore = run(api->app("a/b?c"));
  CHECK(fake.asked == "GET /v1/apps/a%2Fb%3Fc");
}

TEST_CASE_FIXTURE(Fixture, "nobody there: the error names the URL and the next step") {
  const auto nobody = *Client::create(host->host(), "http://127.0.0.1:1", "");
  const auto answer = run(nobody->health());
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().code == Code::unavailable);
  CHECK(answer.error().context.starts_with("no answer from the API at http://127.0.0.1:1: "));
  CHECK(answer.error().context.find("perigee up") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a URL that can't be is refused") {
  const std::pair<const char*, const char*> cases[] = {
      {"https://127.0.0.1", "https is not yet supported"},
      {"127.0.0.1:4280", "expected http://ADDRESS[:PORT]"},
      {"http://", "expected http://ADDRESS[:PORT]"},
      {"http://127.0.0.1/v1", "expected http://ADDRESS[:PORT]"},
      {"http://127.0.0.1:0", "its port is not from 1 to 65535"},
      {"http://127.0.0.1:http", "its port is not from 1 to 65535"},
      {"http://api.example", "neither an IP address nor localhost"},
  };
  for (const auto& [text, words] : cases) {
    CAPTURE(text);
    const auto client = Client::create(host->host(), text, "");
    REQUIRE_FALSE(client.has_value());
    CHECK_MESSAGE(client.error().context.find(words) != std::string::npos, client.error().context);
  }
  for (const char* text : {"http://localhost:4280/", "http://[::1]:4280", "http://127.0.0.1"})
    CHECK(Client::create(host->host(), text, "").has_value());
}

TEST_CASE_FIXTURE(Fixture, "events are read to the stream's end") {
  fake.answers["GET /v1/apps/x/releases/2/events?after=1"] = {
      200, "event: step\nid: 2\ndata: {}\n\n: keep-alive\n\nevent: done\ndata: {}\n\n"};
  const auto events = run(api->release_events("x", 2, "1"));
  REQUIRE(events.has_value());
  CHECK(run((*events)->next()).value() == Event{"step", "{}", "2"});
  CHECK(run((*events)->next()).value()->type == "done");
  CHECK(run((*events)->next()).value() == std::nullopt);
  const auto none = run(api->logs("x", {.tail = 5, .follow = true, .machine = "148e"}));
  CHECK(none.error().code == Code::not_found);
  CHECK(fake.asked == "GET /v1/apps/x/logs?tail=5&follow=1&machine=148e");
}

TEST_CASE_FIXTURE(Fixture, "a blob is asked for, then streamed from its file") {
  char path[] = "/tmp/perigee-client-XXXXXX";
  const sys::Fd file(::mkstemp(path));
  REQUIRE(file.valid());
  const std::string data(3'000'000, 'b');
  std::ofstream(path) << data;
  const std::string digest = "sha256:" + std::string(64, 'a');
  CHECK(run(api->has_blob(digest)).value() == false);
  fake.answers["HEAD /v1/blobs/" + digest] = {200, ""};
  CHECK(run(api->has_blob(digest)).value());
  fake.answers["PUT /v1/blobs/" + digest] = {201, ""};
  std::uint64_t told = 0;
  const auto put = run(api->put_blob(digest, path, [&](std::uint64_t sent) { told = sent; }));
  REQUIRE_MESSAGE(put.has_value(), (put ? "" : put.error().context));
  CHECK(fake.received == data);
  CHECK(told == data.size());
  ::unlink(path);
  CHECK(run(api->put_blob(digest, path, {})).error().code == Code::not_found);
}

}  // namespace
}  // namespace perigee::client
