// A control of a fleet with another one, for tests: n1, which it runs on, n2 with control alone,
// and n3 with a worker. What it says to n2's control goes to a link.sock that notes it.
#pragma once

#include "api/caller.h"
#include "control/control_fixture.h"

namespace perigee::control {

// link.sock: notes what it is to carry on.
class FakeLink : public http::Handler {
 public:
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    const auto* to = request.head.headers.find(api::kToControlHeader);
    carried.push_back(fmt::format("{} to {}", request.head.target, to == nullptr ? "?" : *to));
    bodies[request.head.target] = (co_await http::read_all(request.body, 1 << 20)).value_or("");
    const auto found = answers.find(request.head.target);
    const bool known = found != answers.end();
    std::ignore = co_await response.send({.status = known ? 200 : 204}, known ? found->second : "");
  }
  std::vector<std::string> carried;
  std::map<std::string, std::string> answers;  // by target
  std::map<std::string, std::string> bodies;   // the last, likewise
};

struct PeersFixture : ControlFixture {
  PeersFixture() {
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
  ~PeersFixture() { kill(); }
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

}  // namespace perigee::control
