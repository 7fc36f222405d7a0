// Two links with real TLS between them: what passes, as whom, and what does not.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "async/combine.h"
#include "async/task_group.h"
#include "crypto/certificate.h"
#include "http/server.h"
#include "http/upgrade.h"
#include "link/identity.h"
#include "link/inbound.h"
#include "link/join.h"
#include "link/outbound.h"
#include "link/to_control.h"
#include "sys/posix_host.h"

namespace perigee::link {
namespace {

// A daemon behind a link: remembers what it was asked, answers as the path says.
class Daemon : public http::Handler {
 public:
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    const auto body = co_await http::read_all(request.body, 1 << 20);
    last = request.head;
    last_body = body.value_or("");
    const bool only_looks = request.head.target == "/internal/v1/fleet/ca";
    calls += only_looks ? 0 : 1;
    if (endless) {
      if (!co_await response.start({.status = 200})) co_return;
      std::ignore = co_await response.write("one ");
      co_await response.closed();
      co_return;
    }
    if (silent_at == "*" || request.head.target == silent_at) {
      co_await response.closed();
      co_return;
    }
    if (http::asks_for_upgrade(request.head, "echo")) {
      auto stream = co_await response.switch_protocols("echo");
      std::array<char, 64> piece{};
      for (;;) {
        const auto n = co_await (*stream)->read(piece);
        if (!n || *n == 0) co_return;
        if (!co_await (*stream)->write({piece.data(), *n})) co_return;
      }
    }
    http::ResponseHead head{.status = 200};
    if (request.head.path() == "/missing") head.status = 404;
    if (!co_await response.start(std::move(head))) co_return;
    for (const char* part : {"one ", "two ", "three"}) {
      if (!co_await response.write(part)) co_return;
    }
    [[maybe_unused]] const auto finished = co_await response.finish();
  }
  http::RequestHead last;
  std::string last_body;
  int calls = 0;          // without those that only ask whether it is there
  std::string silent_at;  // what it never answers; "*": anything
  bool endless = false;   // it begins an answer, and goes no further
};

async::Task<void> pause(async::Loop& loop, Duration length) {
  co_await loop.sleep(length);
}

std::string header(const http::RequestHead& head, std::string_view name) {
  const std::string_view* found = head.headers.find(name);
  return std::string(found == nullptr ? "" : *found);
}

struct Answer {
  int status = 0;
  std::string body;
};

struct Fixture;

// One node's link, without the parts that need a mesh.
struct Node {
  Node(Fixture& fixture, const std::string& name, std::vector<std::string> roles);
  void serve();

  Fixture& f;
  model::FleetNode self;
  crypto::KeyPair shown;
  std::unique_ptr<crypto::TlsServer> server_tls = *crypto::TlsServer::create();
  std::unique_ptr<crypto::TlsClient> client_tls;
  std::unique_ptr<Members> members;
  Daemon control;
  Daemon worker;
  std::unique_ptr<Inbound> inbound;
  std::unique_ptr<ToControl> to_control;
  std::unique_ptr<ToNodes> to_nodes;
  std::vector<std::unique_ptr<http::Server>> servers;
  sys::Address fleet_address;
  sys::Address control_socket;
  sys::Address worker_socket;
  sys::Address asked_socket;  // control.sock of the link, or link.sock
};

struct Fixture {
  Fixture() {
    std::string pattern = "/tmp/perigee-link-XXXXXX";
    directory = ::mkdtemp(pattern.data());
  }
  ~Fixture() {
    tasks.reset();
    std::filesystem::remove_all(directory);
  }
  sys::Host& h() { return host->host(); }
  async::Loop& loop() { return host->loop(); }
  std::unique_ptr<sys::Listener> listen(const std::string& at) {
    return *h().network.listen(at.starts_with('/') ? *sys::Address::unix_path(at)
                                                   : *sys::Address::parse(at));
  }
  // All nodes know each other, each at its listener.
  void acquaint(const std::vector<Node*>& nodes) {
    for (Node* one : nodes) {
      for (Node* other : nodes) one->members->set(other->self);
      for (Node* other : nodes) {
        (*one->members->peer(other->self.node))->addresses = {other->fleet_address};
      }
    }
  }
  Answer ask(sys::Host& from, const sys::Address& to, http::RequestHead head,
             std::string body = {}) {
    http::Client client(from, {});
    head.headers.set("Host", "x");
    auto response =
        loop().run(client.request(to, std::move(head), std::move(body), loop().deadline_in(10s)));
    REQUIRE_MESSAGE(response.has_value(), response.error().context);
    const auto text = loop().run(http::read_all((*response)->body(), 1 << 20));
    return {(*response)->head.status, text.value_or("(cut)")};
  }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(2);
  std::string directory;
  crypto::KeyPair ca = *crypto::create_ca("fleet", host->host().clock.wall());
  std::unique_ptr<async::TaskGroup> tasks = std::make_unique<async::TaskGroup>(host->loop());
};

Node::Node(Fixture& fixture, const std::string& name, std::vector<std::string> roles) : f(fixture) {
  const crypto::RequestedKey key = *crypto::request_certificate(name);
  self.node = NodeId(name);
  self.region = RegionCode("fra");
  self.membership.index = 1;
  self.membership.roles = std::move(roles);
  shown = {*crypto::issue_requested(
               f.ca, key.request_pem,
               {name, model::server_name_of(self.node), std::string(model::kControlServerName)},
               f.h().clock.wall(), 1h),
           key.private_key_pem};
  self.membership.certificate = *crypto::fingerprint(shown.certificate_pem);
  client_tls = *crypto::TlsClient::create(f.ca.certificate_pem);
  REQUIRE(client_tls->identify_as(shown).has_value());
  REQUIRE(server_tls->ask_clients(f.ca.certificate_pem).has_value());
  for (const std::string& host :
       {model::server_name_of(self.node), std::string(model::kControlServerName)}) {
    REQUIRE(server_tls->set_certificate(host, shown.certificate_pem, shown.private_key_pem)
                .has_value());
  }
  members = std::make_unique<Members>(f.h(), *client_tls);
  serve();
}

void Node::serve() {
  const std::string base = f.directory + "/" + self.node.str();
  const api::LocalUsers users{.own = ::getuid(), .router = 64990};
  const auto add = [&](http::Handler& handler) -> http::Server& {
    return *servers.emplace_back(
        std::make_unique<http::Server>(f.h(), handler, http::ServerLimits{}));
  };
  auto control_listener = f.listen(base + ".control");
  auto worker_listener = f.listen(base + ".worker");
  auto fleet_listener = f.listen("127.0.0.1:0");
  auto asked_listener = f.listen(base + ".asked");
  control_socket = control_listener->local();
  worker_socket = worker_listener->local();
  fleet_address = fleet_listener->local();
  asked_socket = asked_listener->local();
  Inbound::Sockets sockets{.control = {}, .worker = worker_socket, .router = {}};
  if (self.membership.runs("control")) sockets.control = control_socket;
  inbound = std::make_unique<Inbound>(f.h(), *members, self.node, sockets);
  to_control = std::make_unique<ToControl>(f.h(), *members, users);
  to_nodes = std::make_unique<ToNodes>(f.loop(), *members, users);
  http::Handler& asked =
      self.membership.runs("control") ? static_cast<http::Handler&>(*to_nodes) : *to_control;
  f.tasks->spawn(add(control).serve(std::move(control_listener)));
  f.tasks->spawn(add(worker).serve(std::move(worker_listener)));
  f.tasks->spawn(add(*inbound).serve_tls(std::move(fleet_listener), *server_tls));
  f.tasks->spawn(add(asked).serve(std::move(asked_listener)));
}

struct Pair : Fixture {
  Pair() { acquaint({&iad, &fra}); }
  ~Pair() { tasks.reset(); }
  Node iad{*this, "iad", {"control", "worker", "router"}};
  Node fra{*this, "fra", {"worker", "router"}};
};

TEST_CASE_FIXTURE(Pair, "a daemon elsewhere asks control as who it is, whatever it says") {
  http::RequestHead head{.method = "POST", .target = "/internal/v1/x?y=1"};
  head.headers.set("X-Kept", "yes");
  head.headers.set(api::kCallerHeader, "router");  // root may say less than it is
  const Answer answer = ask(h(), fra.asked_socket, head, "the body");
  CHECK(answer.status == 200);
  CHECK(answer.body == "one two three");
  CHECK(iad.control.last.target == "/internal/v1/x?y=1");
  CHECK(iad.control.last_body == "the body");
  CHECK(header(iad.control.last, "X-Kept") == "yes");
  CHECK(header(iad.control.last, api::kNodeHeader) == "fra");
  CHECK(header(iad.control.last, api::kCertificateHeader) == fra.self.membership.certificate);
  CHECK(header(iad.control.last, api::kCallerHeader) == "router");
  head.headers.remove(api::kCallerHeader);
  CHECK(ask(h(), fra.asked_socket, head).status == 200);
  CHECK(header(iad.control.last, api::kCallerHeader) == "daemon");
  CHECK(ask(h(), fra.asked_socket, {.target = "/missing"}).status == 404);

  // From here, and from a link that lies.
  head.headers.set(api::kNodeHeader, "iad");
  CHECK(ask(h(), fra.asked_socket, head).status == 403);
  head.headers.set(api::kCertificateHeader, iad.self.membership.certificate);
  const std::shared_ptr<Peer> peer = *fra.members->peer(NodeId("iad"));
  CHECK(ask(peer->host, iad.fleet_address, head).status == 200);
  CHECK(header(iad.control.last, api::kNodeHeader) == "fra");
  CHECK(header(iad.control.last, api::kCertificateHeader) == fra.self.membership.certificate);
  CHECK(iad.control.last.headers.count(api::kNodeHeader) == 1);
}

TEST_CASE_FIXTURE(Pair, "without a certificate a server may join and do nothing else") {
  auto nobody = *crypto::TlsClient::create(ca.certificate_pem);
  TlsNetwork network(loop(), h().network, *nobody, std::string(model::kControlServerName));
  sys::Host stranger{loop(), h().clock, h().entropy, network, h().disk, h().processes, h().pool};
  const auto status = [&](std::string method, std::string target) {
    return ask(stranger, iad.fleet_address,
               {.method = std::move(method), .target = std::move(target)})
        .status;
  };
  CHECK(status("GET", "/internal/v1/fleet/ca") == 200);
  CHECK(header(iad.control.last, api::kNodeHeader).empty());
  CHECK(status("POST", "/internal/v1/fleet/join") == 200);
  iad.control.calls = 0;
  CHECK(status("POST", "/internal/v1/fleet/join-own") == 403);
  CHECK(status("GET", "/internal/v1/feed/routes") == 403);
  CHECK(status("GET", "/internal/v1/fleet/ca/") == 403);
  CHECK(iad.control.calls == 0);
}

TEST_CASE_FIXTURE(Pair, "control reaches a worker elsewhere, and only control does") {
  http::RequestHead head{.target = "/internal/v1/machines/m1/console"};
  head.headers.set(api::kToNodeHeader, "fra");
  CHECK(ask(h(), iad.asked_socket, head).status == 200);
  CHECK(fra.worker.calls == 1);
  http::RequestHead report{.method = "POST", .target = "/internal/v1/nodes/fra/report"};
  report.headers.set(api::kToControlHeader, "iad");  // itself, as good as another
  iad.control.calls = 0;
  CHECK(ask(h(), iad.asked_socket, report).status == 200);
  CHECK(iad.control.calls == 1);
  CHECK(header(iad.control.last, api::kNodeHeader) == "iad");
  CHECK(header(iad.control.last, api::kCallerHeader) == "daemon");
  CHECK(header(iad.control.last, api::kToControlHeader).empty());
  head.headers.set(api::kToNodeHeader, "syd");
  CHECK(ask(h(), iad.asked_socket, head).status == 404);

  // fra itself, with its own certificate, at iad's worker.
  head.headers.set(api::kToNodeHeader, "iad");
  const std::shared_ptr<Peer> peer = *fra.members->peer(NodeId("iad"));
  CHECK(ask(peer->host, iad.fleet_address, head).status == 403);
  CHECK(iad.worker.calls == 0);
  // A node that the fleet no longer has, and one whose certificate is another now.
  fra.members->remove(NodeId("iad"));
  head.headers.set(api::kToNodeHeader, "fra");
  CHECK(ask(h(), iad.asked_socket, head).status == 403);
}

TEST_CASE_FIXTURE(Pair, "an exec session goes both ways through both links") {
  http::RequestHead head{.target = "/internal/v1/machines/m1/exec"};
  head.headers.set("Upgrade", "echo");
  head.headers.set(api::kToNodeHeader, "fra");
  auto answer =
      loop().run(http::upgrade(h(), iad.asked_socket, std::move(head), loop().deadline_in(10s)));
  REQUIRE(answer.has_value());
  REQUIRE(answer->stream != nullptr);
  REQUIRE(loop().run(answer->stream->write("hello")).has_value());
  std::array<char, 64> piece{};
  const auto n = loop().run(answer->stream->read(piece));
  REQUIRE(n.has_value());
  CHECK(std::string_view(piece.data(), *n) == "hello");
}

TEST_CASE_FIXTURE(Fixture, "a control node that does not answer is passed over") {
  Node ewr(*this, "ewr", {"control"});
  Node iad(*this, "iad", {"control"});
  Node fra(*this, "fra", {"worker"});
  acquaint({&ewr, &iad, &fra});
  const auto closed = listen("127.0.0.1:0")->local();  // nobody listens there any more
  (*fra.members->peer(NodeId("ewr")))->addresses = {closed};
  const Answer first = ask(h(), fra.asked_socket, {.target = "/x"});
  CHECK_MESSAGE(first.status == 200, first.body);
  CHECK(iad.control.calls == 1);
  (*fra.members->peer(NodeId("iad")))->addresses = {closed};
  const Answer answer = ask(h(), fra.asked_socket, {.target = "/x"});
  CHECK(answer.status == 503);
  CHECK(answer.body.find("control on") != std::string::npos);
  tasks.reset();
}

struct Three : Fixture {
  Three() { acquaint({&ewr, &iad, &fra}); }
  ~Three() { tasks.reset(); }
  Node ewr{*this, "ewr", {"control"}};
  Node iad{*this, "iad", {"control"}};
  Node fra{*this, "fra", {"worker"}};
};

TEST_CASE_FIXTURE(Three, "a node whose control is down is passed over though its link answers") {
  std::filesystem::remove(directory + "/ewr.control");
  const Answer answer = ask(h(), fra.asked_socket, {.target = "/x"});
  CHECK_MESSAGE(answer.status == 200, answer.body);
  CHECK(ask(h(), fra.asked_socket, {.target = "/x"}).status == 200);
  CHECK(ewr.control.calls == 0);
  CHECK(iad.control.calls == 2);
}

TEST_CASE_FIXTURE(Three, "two controls that are cut off together do not cost twice the patience") {
  Node syd(*this, "syd", {"control"});
  acquaint({&ewr, &iad, &syd, &fra});
  ewr.control.silent_at = iad.control.silent_at = "*";
  const MonotonicTime start = loop().now();
  CHECK(ask(h(), fra.asked_socket, {.target = "/x"}).status == 200);
  CHECK(syd.control.last.target == "/x");
  CHECK(loop().now() - start < 2 * kNextControl + 2 * kConnect);
  tasks.reset();
}

TEST_CASE_FIXTURE(Three,
                  "a node with control asks its own, others while that is away, and returns") {
  const api::LocalUsers users{.own = ::getuid(), .router = 64990};
  ToControl own(h(), *iad.members, users, OwnControl{NodeId("iad"), iad.control_socket});
  http::Server server(h(), own, {});
  auto listener = listen(directory + "/iad.own");
  const sys::Address asked = listener->local();
  tasks->spawn(server.serve(std::move(listener)));
  tasks->spawn(own.return_to_own());
  http::RequestHead head{.target = "/x"};
  head.headers.set(api::kCallerHeader, "router");
  std::filesystem::remove(directory + "/iad.control");
  CHECK(ask(h(), asked, head).status == 200);
  CHECK(ewr.control.calls == 1);
  CHECK(header(ewr.control.last, api::kNodeHeader) == "iad");
  CHECK(header(ewr.control.last, api::kCallerHeader) == "router");

  Daemon started;
  http::Server control(h(), started, {});
  tasks->spawn(control.serve(listen(directory + "/iad.control")));
  loop().run(pause(loop(), kOwnControlLook + 1s));
  CHECK(ask(h(), asked, head).status == 200);
  CHECK(started.last.target == "/x");
  CHECK(header(started.last, api::kNodeHeader).empty());  // as one of its own node
  CHECK(header(started.last, api::kCallerHeader) == "router");
  CHECK(ewr.control.calls == 1);
  tasks.reset();
}

TEST_CASE_FIXTURE(Three, "a control that is slow is asked no less, and another in its place now") {
  ewr.control.silent_at = "/slow";
  const Answer answer = ask(h(), fra.asked_socket, {.target = "/slow"});
  CHECK_MESSAGE(answer.status == 200, answer.body);
  CHECK(iad.control.calls == 1);
  CHECK(ask(h(), fra.asked_socket, {.target = "/x"}).status == 200);
  CHECK(ewr.control.last.target == "/x");
}

TEST_CASE_FIXTURE(Three,
                  "feeds of a control that is left are cut, so that they are taken up again") {
  ewr.control.silent_at = "*";  // after it has begun
  ewr.control.endless = true;
  http::Client client(h(), {});
  http::RequestHead head{.target = "/feed"};
  head.headers.set("Host", "x");
  auto feed =
      loop().run(client.request(fra.asked_socket, std::move(head), {}, loop().deadline_in(10s)));
  REQUIRE(feed.has_value());
  std::array<char, 64> piece{};
  CHECK(loop().run((*feed)->body().read(piece)).value_or(0) > 0);
  ewr.control.endless = false;
  CHECK(ask(h(), fra.asked_socket, {.target = "/x"}).status == 200);
  CHECK(iad.control.calls == 1);
  const auto rest = loop().run(async::with_deadline(loop(), loop().deadline_in(10s),
                                                    (*feed)->body().read(piece), "the feed"));
  CHECK_FALSE(rest.has_value());
}

TEST_CASE_FIXTURE(Fixture, "an identity survives its file, and the key is not legible there") {
  const std::string ring_path = directory + "/ring.json";
  REQUIRE(loop().run(secrets::KeyFile::ensure(h(), ring_path)).has_value());
  const auto ring = *loop().run(secrets::KeyFile::open(h(), ring_path));
  const std::string path = directory + "/fleet/identity.json";
  const IdentityFile file(h(), *ring, path);
  CHECK_FALSE(loop().run(file.load()).value().has_value());
  Identity identity;
  identity.admission.fleet = "f";
  identity.admission.prefix = "fd12:3456:789a";
  identity.admission.node = {NodeId("fra"), RegionCode("fra"), {}};
  identity.admission.node.membership.index = 7;
  identity.admission.ca_pem = ca.certificate_pem;
  identity.admission.certificate_pem = "PEM";
  identity.private_key_pem = ca.private_key_pem;
  identity.admission.nodes = {identity.admission.node};
  REQUIRE(loop().run(file.save(identity)).has_value());
  const auto loaded = loop().run(file.load());
  REQUIRE(loaded.has_value());
  CHECK((*loaded)->private_key_pem == ca.private_key_pem);
  CHECK((*loaded)->admission.nodes == identity.admission.nodes);
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  CHECK(text.find("PRIVATE KEY") == std::string::npos);

  const std::string other_path = directory + "/other.json";
  REQUIRE(loop().run(secrets::KeyFile::ensure(h(), other_path)).has_value());
  const auto other = *loop().run(secrets::KeyFile::open(h(), other_path));
  CHECK_FALSE(loop().run(IdentityFile(h(), *other, path).load()).has_value());
}

TEST_CASE_FIXTURE(Pair, "a server tells its token to nobody but the fleet that the token is for") {
  const std::string digits(64, 'a');
  const std::string token =
      "pgj1-" + std::string(16, '1') + "-" + std::string(48, '2') + "-" + digits;
  Candidate self = *candidate(NodeId("syd"), RegionCode("syd"), {"worker"}, "", "key");
  // The fake control answers what is no CA at all, so no fingerprint can match.
  const auto joined = loop().run(join(h(), iad.fleet_address, token, std::move(self)));
  REQUIRE_FALSE(joined.has_value());
  CHECK(iad.control.calls == 0);
  CHECK(iad.control.last.target == "/internal/v1/fleet/ca");
  CHECK(iad.control.last_body.empty());
}

}  // namespace
}  // namespace perigee::link
