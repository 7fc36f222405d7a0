// What one control of a fleet hears or has, the others hear or get, once.
#include <doctest/doctest.h>

#include "control/peers_fixture.h"

namespace perigee::control {
namespace {

TEST_CASE_FIXTURE(PeersFixture, "what a node says is passed on to the other controls, once") {
  send(node());  // this node's own worker
  CHECK(eventually([&] { return link.carried.size() == 1; }));
  CHECK(link.carried[0] == "/internal/v1/nodes/n1/report to n2");
  CHECK(report("n3", "n3") == 204);
  CHECK(eventually([&] { return link.carried.size() == 2; }));
  CHECK(link.carried[1] == "/internal/v1/nodes/n3/report to n2");
}

TEST_CASE_FIXTURE(PeersFixture, "what another control passes on counts, and goes no further") {
  CHECK(report("n3", "n2") == 204);
  pass(100ms);
  CHECK(link.carried.empty());
  const auto nodes = call("GET", "/v1/nodes").body.dump();
  CHECK(nodes.find("\"n3\"") != std::string::npos);
  CHECK(report("n2", "n3") == 403);  // no control speaks
}

TEST_CASE_FIXTURE(PeersFixture,
                  "what a router says of loads is passed on, and believed of controls") {
  const http::RequestHead head = request("POST", "/internal/v1/routers/n3/loads");
  CHECK(ask_as("n3", "router", head, "{}").status == 204);
  CHECK(eventually([&] { return link.carried.size() == 1; }));
  CHECK(link.carried[0] == "/internal/v1/routers/n3/loads to n2");
  CHECK(ask_as("n2", "daemon", head, "{}").status == 204);
  CHECK(ask_as("n2", "router", head, "{}").status == 403);  // no control, though beside one
  pass(100ms);
  CHECK(link.carried.size() == 1);
}

TEST_CASE_FIXTURE(PeersFixture,
                  "a control that starts knows what the others have heard, and when") {
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

TEST_CASE_FIXTURE(PeersFixture,
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
  Changes changes(host->loop());
  ObservedTable observed(host->loop(), changes, 15s);
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
