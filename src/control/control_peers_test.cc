// Reports reach every control of a fleet once, whichever of them was told.
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
    std::ignore = co_await response.send({.status = 204}, "");
  }
  std::vector<std::string> carried;
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
  }
  ~Fixture() { kill(); }
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
    http::RequestHead head = request("POST", fmt::format("/internal/v1/nodes/{}/report", about));
    head.headers.set(api::kNodeHeader, from);
    head.headers.set(api::kCertificateHeader, std::string("of ") + from);
    head.headers.set(api::kCallerHeader, "daemon");
    auto got = loop().run(ask(client, internal_address, head, model::to_json(report).dump(),
                              loop().deadline_in(20s)));
    REQUIRE(got.has_value());
    return got->status;
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

}  // namespace
}  // namespace perigee::control
