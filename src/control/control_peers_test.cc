// What one control of a fleet hears or has, the others hear or get, once.
#include <doctest/doctest.h>

#include "api/caller.h"
#include "control/control_fixture.h"

namespace perigee::control {
namespace {

// link.sock: notes what it is to carry on.
class FakeLink : public http::Handler {
 public:
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    const auto* to = request.head.headers.find(api::kToControlHeader);
    carried.push_back(fmt::format("{} to {}", request.head.target, to == nullptr ? "?" : *to));
    const auto found = answers.find(request.head.target);
    const bool known = found != answers.end();
    std::ignore = co_await response.send({.status = known ? 200 : 204}, known ? found->second : "");
  }
  std::vector<std::string> carried;
  std::map<std::string, std::string> answers;  // by target
};

struct Fixture : ControlFixture {
  Fixture() {
    kill();
    link_group.spawn(
        link_server.serve(*h().network.listen(*sys::Address::unix_path(directory + "/link.sock"))));
    config.link_socket = directory + "/link.sock";
    config.node = NodeId("n1");
    join("n1", {"control", "worker"});
    join("n2", {"control"});
    join("n3", {"worker"});
    start();
    CHECK(eventually([&] { return link.carried.size() == 1; }));
    CHECK(link.carried[0] == "/internal/v1/reports to n2");
    link.carried.clear();
  }
  ~Fixture() { kill(); }
  Got ask_as(const char* from, const char* kind, http::RequestHead head, std::string body = {}) {
    head.headers.set(api::kNodeHeader, from);
    head.headers.set(api::kCertificateHeader, std::string("of ") + from);
    head.headers.set(api::kCallerHeader, kind);
    auto got =
        loop().run(ask(client, internal_address, head, std::move(body), loop().deadline_in(20s)));
    REQUIRE(got.has_value());
    return *std::move(got);
  }
  void join(const char* name, std::vector<std::string> roles) {
    NodeRecord record;
    record.region = RegionCode("iad");
    record.membership = model::Membership{};
    record.membership->index = 1;
    record.membership->certificate = std::string("of ") + name;
    record.membership->roles = std::move(roles);
    store::Transaction t;
    t.put(node_key(NodeId(name)), to_json(record).dump());
    REQUIRE(loop().run(store.commit(std::move(t))).has_value());
  }
  // The report of `about`, as node `from` brings it through the link.
  int report(const char* about, const char* from) {
    model::NodeReport report = node();
    report.node = NodeId(about);
    return ask_as(from, "daemon",
                  request("POST", fmt::format("/internal/v1/nodes/{}/report", about)),
                  model::to_json(report).dump())
        .status;
  }

  FakeLink link;
  http::Server link_server{h(), link, {}};
  async::TaskGroup link_group{loop()};
};

TEST_CASE_FIXTURE(Fixture, "what a node says is passed on to the other controls, once") {
  send(node());  // this node's own worker
  CHECK(eventually([&] { return link.carried.size() == 1; }));
  CHECK(link.carried[0] == "/internal/v1/nodes/n1/report to n2");
  CHECK(report("n3", "n3") == 204);
  CHECK(eventually([&] { return link.carried.size() == 2; }));
  CHECK(link.carried[1] == "/internal/v1/nodes/n3/report to n2");
}

TEST_CASE_FIXTURE(Fixture, "what another control passes on counts, and goes no further") {
  CHECK(report("n3", "n2") == 204);
  pass(100ms);
  CHECK(link.carried.empty());
  const auto nodes = call("GET", "/v1/nodes").body.dump();
  CHECK(nodes.find("\"n3\"") != std::string::npos);
  CHECK(report("n2", "n3") == 403);  // no control speaks
}

TEST_CASE_FIXTURE(Fixture, "what a router says of loads is passed on, and believed of controls") {
  const http::RequestHead head = request("POST", "/internal/v1/routers/n3/loads");
  CHECK(ask_as("n3", "router", head, "{}").status == 204);
  CHECK(eventually([&] { return link.carried.size() == 1; }));
  CHECK(link.carried[0] == "/internal/v1/routers/n3/loads to n2");
  CHECK(ask_as("n2", "daemon", head, "{}").status == 204);
  CHECK(ask_as("n2", "router", head, "{}").status == 403);  // no control, though beside one
  pass(100ms);
  CHECK(link.carried.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a control that starts knows what the others have heard, and when") {
  CHECK(report("n3", "n3") == 204);
  const auto controls = [&](const char* from) {
    return ask_as(from, "daemon", request("GET", "/internal/v1/reports"));
  };
  CHECK(controls("n3").status == 403);
  const Got told = controls("n2");
  REQUIRE(told.status == 200);
  CHECK(told.text.find("\"n3\"") != std::string::npos);

  kill();
  std::string aged = told.text;
  const auto at = aged.find("\"age_ms\":");
  REQUIRE(at != std::string::npos);
  aged.insert(at + 9, "40000");  // digits in front: long ago
  link.answers["/internal/v1/reports"] = aged;
  start();
  const auto node_view = [&] { return call("GET", "/v1/nodes/n3").body.dump(); };
  CHECK(eventually([&] { return node_view().find("\"lost\"") != std::string::npos; }));
  CHECK(report("n3", "n3") == 204);
  CHECK(node_view().find("\"lost\"") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture,
                  "a blob that another control has is passed on; others ask for own ones") {
  images.blobs["sha256:here"] = "mine";
  link.answers["/internal/v1/own-blobs/sha256:there"] = "theirs";
  const auto get = [&](const char* from, const char* target) {
    return ask_as(from, "daemon", request("GET", target));
  };
  CHECK(get("n3", "/internal/v1/blobs/sha256:here").text == "mine");
  CHECK(get("n3", "/internal/v1/blobs/sha256:there").text == "theirs");
  CHECK(get("n2", "/internal/v1/own-blobs/sha256:here").text == "mine");
  CHECK(get("n2", "/internal/v1/own-blobs/sha256:there").status == 404);
  CHECK(get("n3", "/internal/v1/own-blobs/sha256:here").status == 403);
}

TEST_CASE("what is heard late says nothing against what is known") {
  const auto host = *sys::PosixHost::open(1);
  async::Notify changed(host->loop());
  ObservedTable observed(host->loop(), changed, 15s);
  model::NodeReport report;
  report.node = NodeId("n1");
  report.memory_mib = 1;
  observed.report(report, 20s);
  CHECK(observed.lost(report.node));
  CHECK(observed.silence(report.node) >= 20s);
  report.memory_mib = 2;
  observed.report(report, 1s);
  CHECK_FALSE(observed.lost(report.node));
  report.memory_mib = 3;
  observed.report(report, 5s);
  CHECK(observed.node(report.node)->report.memory_mib == 2);
}

}  // namespace
}  // namespace perigee::control
