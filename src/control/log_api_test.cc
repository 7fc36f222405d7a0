// What the API's logs ask of the workers: filters, and machines that are gone.
#include <doctest/doctest.h>

#include "control/control_fixture.h"

namespace perigee::control {
namespace {

struct WithLogs : ControlFixture {
  WithLogs() {
    worker.table_.answer("GET", "/internal/v1/archived-logs", api::open_to_all(),
                         [this](api::Call& call) { return archived(call); });
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
    worker.add("a line");
  }
  async::Task<Result<api::Reply>> archived(api::Call& call) {
    const bool mine = call.query("app") == "hello";
    co_return api::Reply{200,
                         json::object({{"machines", mine ? json::strings(gone) : json::array()}})};
  }
  std::string create() {
    const Got made = call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "hello:1"}})");
    return *made.body.find("id")->string();
  }
  std::string logs(const std::string& query) {
    const Got got = call("GET", "/v1/apps/hello/logs?" + query);
    return got.status == 200 ? got.text : fmt::format("{} {}", got.status, got.text);
  }
  std::vector<std::string> gone;
};

TEST_CASE_FIXTURE(WithLogs, "filters are the workers' to apply") {
  const std::string id = create();
  CHECK(logs("search=a%26b&stream=stderr&tail=7").find("a line") != std::string::npos);
  CHECK(worker.asked ==
        fmt::format("/internal/v1/machines/{}/logs?follow=0&tail=7&app=hello&search=a%26b"
                    "&stream=stderr",
                    id));
  logs("since=10m");
  CHECK(worker.asked.find("&since=") != std::string::npos);
  worker.asked.clear();
  CHECK(logs("region=ams").find("a line") == std::string::npos);
  CHECK(worker.asked.empty());
  CHECK(logs("stream=stdin").starts_with("400 "));
  CHECK(logs("since=yesterday").starts_with("400 "));
  CHECK(logs("search=" + std::string(1025, 'x')).starts_with("400 "));
}

TEST_CASE_FIXTURE(WithLogs, "the output of machines that are gone is read along") {
  gone = {"m1gone", "m2gone"};
  const std::string all = logs("");
  CHECK(all.find("\"instance\":\"m1gone\"") != std::string::npos);
  CHECK(all.find("\"instance\":\"m2gone\"") != std::string::npos);
  const std::string one = logs("machine=m2gone");
  CHECK(one.find("m1gone") == std::string::npos);
  CHECK(one.find("m2gone") != std::string::npos);
}

TEST_CASE_FIXTURE(WithLogs,
                  "a reader that comes back gets what it has not, of machines gone, too") {
  gone = {"m1gone", "m2gone"};  // each has one line, of sequence 1
  const std::string all = logs("");
  CHECK(all.find("\"sequence\":1") != std::string::npos);
  CHECK(logs("after=m1gone:0").find("\"instance\":\"m1gone\"") != std::string::npos);
  CHECK(logs("after=m1gone:0").find("m2gone") == std::string::npos);
  CHECK(logs("after=m1gone:1").find("a line") == std::string::npos);
  CHECK(logs("after=").find("a line") == std::string::npos);
  CHECK(logs("after=m1gone").starts_with("400 "));
  CHECK(logs("after=m1gone:-1").starts_with("400 "));
  CHECK(logs("after=:1").starts_with("400 "));
}

}  // namespace
}  // namespace perigee::control
