// The router's parts that have no I/O: the store of routes, heads, error pages, log lines.
#include <doctest/doctest.h>

#include <algorithm>

#include "model/json.h"
#include "router/access_log.h"
#include "router/error_page.h"
#include "router/forwarding.h"
#include "router/limits.h"
#include "router/route_store.h"
#include "router/state.h"

namespace perigee::router {
namespace {

std::string hello(const char* epoch, int revision, bool snapshot) {
  return fmt::format(R"({{"version":1,"epoch":"{}","revision":{},"snapshot":{}}})", epoch, revision,
                     snapshot);
}
std::string change(int revision, const std::string& app) {
  return fmt::format(
      R"({{"revision":{0},"key":"/routes/{1}","value":{{"app":"{1}","hosts":["{1}.test"]}}}})",
      revision, app);
}
std::string removal(int revision, const std::string& app) {
  return fmt::format(R"({{"revision":{},"key":"/routes/{}","value":null}})", revision, app);
}

using Effect = RouteStore::Effect;

struct Synced {
  Synced() {
    REQUIRE(store.begin(hello("e1", 5, true)).has_value());
    CHECK(store.apply(change(5, "a")) == Effect::none);
    CHECK(store.apply(change(5, "b")) == Effect::none);
    CHECK(store.table()->apps().empty());
    CHECK(store.apply(R"({"revision":5,"synced":true})") == Effect::changed);
  }
  RouteStore store;
};

TEST_CASE_FIXTURE(Synced, "a snapshot takes effect when it is complete, changes at once") {
  CHECK(store.position() == "e1-5");
  CHECK(store.table()->find_host("b.test") != nullptr);
  CHECK(store.apply(change(6, "c")) == Effect::changed);
  CHECK(store.apply(removal(7, "a")) == Effect::changed);
  CHECK(store.apply("{}") == Effect::none);
  CHECK(store.position() == "e1-7");
  CHECK(store.table()->find_app("a") == nullptr);
  CHECK(store.table()->find_app("c") != nullptr);
}

TEST_CASE_FIXTURE(Synced, "a new snapshot drops what it does not name; a cut one changes nothing") {
  REQUIRE(store.begin(hello("e2", 1, true)).has_value());
  CHECK(store.apply(change(1, "z")) == Effect::none);
  CHECK(store.position() == "e1-5");
  REQUIRE(store.begin(hello("e2", 1, true)).has_value());
  CHECK(store.apply(change(1, "b")) == Effect::none);
  CHECK(store.apply(R"({"revision":1,"synced":true})") == Effect::changed);
  CHECK(store.table()->apps().size() == 1);
  CHECK(store.position() == "e2-1");
}

TEST_CASE_FIXTURE(Synced,
                  "a bad record leaves that app's route as it was, in changes and snapshots") {
  const std::string bad = R"({"revision":6,"key":"/routes/a","value":{"app":5}})";
  CHECK(store.apply(bad) == Effect::none);
  CHECK(store.table()->find_app("a") != nullptr);
  REQUIRE(store.begin(hello("e2", 1, true)).has_value());
  CHECK(store.apply(bad) == Effect::none);
  CHECK(store.apply(R"({"revision":1,"synced":true})") == Effect::changed);
  CHECK(store.table()->find_app("a") != nullptr);
  CHECK(store.table()->find_app("b") == nullptr);
}

TEST_CASE_FIXTURE(Synced, "unknown keys and members are skipped, other versions are refused") {
  CHECK(store.apply(R"({"revision":9,"key":"/later/x","value":{}})") == Effect::none);
  CHECK(store.position() == "e1-9");
  CHECK_FALSE(store.apply("not json").has_value());
  CHECK_FALSE(store.apply(R"({"key":7})").has_value());
  CHECK_FALSE(store.begin(R"({"version":2,"epoch":"x","revision":1})").has_value());
  CHECK_FALSE(store.begin(hello("other", 9, false)).has_value());
  CHECK(store.begin(hello("e1", 9, false)).has_value());
}

TEST_CASE_FIXTURE(Synced, "routes survive the disk, and a broken file changes nothing") {
  std::string file;
  RouteStore::Lines lines(store);
  while (const auto line = lines.next()) file += *line;
  RouteStore again;
  REQUIRE(again.load(file).has_value());
  CHECK(again.position() == "e1-5");
  CHECK(*again.table()->find_app("a") == *store.table()->find_app("a"));
  const std::string cut = file.substr(0, file.size() - 20);
  for (const std::string& bad : {std::string(), std::string("{}"), cut, file + "not json",
                                 std::string(R"({"version":1,"epoch":"x"})"),
                                 std::string(R"({"version":9,"epoch":"x","snapshot":true})")}) {
    CAPTURE(bad);
    CHECK_FALSE(again.load(bad).has_value());
    CHECK(again.table()->apps().size() == 2);
  }
}

TEST_CASE("hop-by-hop fields go, also those that Connection names, but not what is needed") {
  http::Headers headers;
  for (const auto& [name, value] :
       std::vector<http::Headers::Field>{{"Host", "a"},
                                         {"Connection", "close, X-Private , Host, content-length"},
                                         {"Keep-Alive", "5"},
                                         {"TE", "trailers"},
                                         {"Upgrade", "websocket"},
                                         {"Expect", "100-continue"},
                                         {"Proxy-Connection", "keep-alive"},
                                         {"x-private", "1"},
                                         {"Content-Length", "3"},
                                         {"Accept", "*/*"}}) {
    headers.add(name, value);
  }
  remove_hop_by_hop(headers);
  std::string left;
  for (const auto& [name, value] : headers.fields()) left.append(name).append(" ");
  CHECK(left == "Host Content-Length Accept ");
}

TEST_CASE("a machine gets our word about the client, not the client's") {
  http::RequestHead head{.method = "GET", .target = "/x?y"};
  head.headers.add("Host", "a.test:8080");
  head.headers.add("X-Forwarded-For", "6.6.6.6");
  head.headers.add("X-Forwarded-Proto", "https");
  head.headers.add("Fly-Client-IP", "6.6.6.6");
  head.headers.add("Perigee-Request-Id", "forged");
  head.headers.add("Connection", "x-forwarded-proto");
  head.headers.add("Via", "1.0 cache");
  const auto out = upstream_request(
      head, {.client_ip = "10.0.0.9", .request_id = "id1", .region = "iad", .listener_port = 8080});
  CHECK(out.target == "/x?y");
  CHECK(*out.headers.find("host") == "a.test:8080");
  CHECK(*out.headers.find("x-forwarded-for") == "6.6.6.6, 10.0.0.9");
  CHECK(*out.headers.find("x-forwarded-proto") == "http");
  CHECK(*out.headers.find("x-forwarded-port") == "8080");
  CHECK(*out.headers.find("fly-client-ip") == "10.0.0.9");
  CHECK(*out.headers.find("perigee-request-id") == "id1");
  CHECK(*out.headers.find("fly-request-id") == "id1");
  CHECK(*out.headers.find("via") == "1.0 cache, 1.1 perigee");
  CHECK(out.headers.count("perigee-request-id") == 1);
}

TEST_CASE("a machine is told that trailers are welcome where the client said so, and no more") {
  http::RequestHead head{.method = "POST", .target = "/"};
  head.headers.add("Connection", "TE");
  head.headers.add("TE", "gzip;q=0.5, trailers");
  head.headers.add("Trailer", "x-sum");
  const http::Headers out = upstream_request(head, {}).headers;
  CHECK(*out.find("te") == "trailers");
  CHECK(*out.find("trailer") == "x-sum");
  CHECK(out.find("connection") == nullptr);
  head.headers.set("TE", "gzip");
  CHECK(upstream_request(head, {}).headers.find("te") == nullptr);
}

TEST_CASE("an error page is HTML for browsers, JSON for others, and escapes what it shows") {
  const Problem problem{
      .status = 503, .code = "no_machine", .reason = "a <b> & c", .retry_soon = true};
  http::Headers browser;
  browser.add("Accept", "text/html,application/xhtml+xml");
  const Page html = error_page(problem, "hello", "r1", browser);
  CHECK(html.body.find("a &lt;b&gt; &amp; c") != std::string::npos);
  CHECK(html.body.find("<code>hello</code>") != std::string::npos);
  CHECK(html.body.find("<code>r1</code>") != std::string::npos);
  CHECK(*html.head.headers.find("retry-after") == "1");
  const Page json = error_page(problem, "hello", "r1", {});
  CHECK(json.body ==
        "{\"error\":\"a <b> & c\",\"status\":\"no_machine\",\"request_id\":\"r1\","
        "\"app\":\"hello\"}\n");
}

TEST_CASE("an access line is JSON whatever the client sent") {
  LogTime time;
  std::string line;
  append_access_line(line, time.text(WallTime{0}),
                     {.at = WallTime{0},
                      .request_id = "r",
                      .client = "::1",
                      .method = "GET",
                      .host = "a\"b\\c\xff\x01",
                      .path = "/p",
                      .app = "",
                      .machine = "m",
                      .machine_node = "n2",
                      .relay = "",
                      .node = "n",
                      .region = "loc",
                      .reason = "",
                      .status = 200,
                      .bytes = 5,
                      .duration = 1500us});
  CHECK(line.ends_with("}\n"));
  const auto value = json::parse(line);
  REQUIRE(value.has_value());
  CHECK(*value->find("status")->integer() == 200);
  CHECK(*value->find("duration_us")->integer() == 1500);
  CHECK(*value->find("at")->string() == "1970-01-01T00:00:00.000Z");
  CHECK(value->find("app") == nullptr);
}

TEST_CASE("each access line has its own time") {
  LogTime log_time;
  for (const std::int64_t ms : {0, 999, 1'000, 1'005, 1'999, 61'020, 1'320, -1, 987}) {
    CAPTURE(ms);
    const WallTime time{ms * 1'000'000};
    CHECK(log_time.text(time) == to_rfc3339(time));
  }
}

TEST_CASE("a load is counted while its slot lives") {
  Loads loads(std::make_shared<Occupancy>());
  {
    Loads::Slot one(loads, "m");
    Loads::Slot two(loads, "m");
    Loads::Slot moved = std::move(one);
    CHECK(loads.of("m") == 2);
    moved = std::move(two);
    CHECK(loads.of("m") == 1);
  }
  CHECK(loads.of("m") == 0);
}

TEST_CASE("what others have at a machine leaves out the requests of the one who asks") {
  Loads loads(std::make_shared<Occupancy>());
  std::vector<std::string> told;
  loads.on_change([&](const std::string& machine) { told.push_back(machine); });
  {
    Loads::Slot own(loads, "m");
    Loads::Slot far(loads, "m", "n2");
    Loads::Slot again(loads, "m", "n2");
    CHECK(loads.others("m", "n2") == 1);
    CHECK(loads.others("m", "n3") == 3);
    CHECK(loads.loaded_machines() == std::vector<std::string>{"m"});
    again = std::move(own);
    CHECK(loads.others("m", "n2") == 1);
    CHECK(loads.of("m") == 2);
  }
  CHECK(loads.others("m", "n2") == 0);
  CHECK(loads.loaded_machines().empty());
  CHECK(told.size() == 6);
}

}  // namespace
}  // namespace perigee::router
