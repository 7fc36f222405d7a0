// A node's way into the fleet, and who may call the internal API from another node.
#include <doctest/doctest.h>

#include "api/caller.h"
#include "control/control_fixture.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "model/join.h"

namespace perigee::control {
namespace {

struct Fixture : ControlFixture {
  std::string token(std::string options = "{}") {
    const Got got = call("POST", "/v1/nodes/tokens", std::move(options));
    REQUIRE(got.status == 201);
    return *got.body.require_string("token");
  }
  // A node's own, made up from its name.
  static std::string wireguard_key(const std::string& name) {
    std::string raw = name;
    raw.resize(32, 'k');
    return crypto::base64_encode(raw);
  }
  std::string shown(const std::string& node, std::string_view field) {
    return call("GET", "/v1/nodes/" + node).body.optional_string(field).value_or("?");
  }
  model::JoinRequest request_of(const std::string& name) {
    key = *crypto::request_certificate(name);
    return {.token = {},
            .node = NodeId(name),
            .region = RegionCode("fra"),
            .roles = {"worker", "router"},
            .endpoint = "203.0.113.7:51820",
            .wireguard_key = wireguard_key(name),
            .certificate_request = key.request_pem};
  }
  Got ask_internal(std::string method, std::string target, const json::Value& body,
                   const std::vector<http::OwnField>& headers = {}) {
    http::RequestHead head = request(std::move(method), std::move(target));
    for (const auto& [name, value] : headers) head.headers.set(name, value);
    auto got =
        loop().run(ask(client, internal_address, std::move(head),
                       body.is_null() ? std::string() : body.dump(), loop().deadline_in(20s)));
    REQUIRE(got.has_value());
    return *std::move(got);
  }
  Got join(model::JoinRequest request, std::string text) {
    request.token = std::move(text);
    return ask_internal("POST", "/internal/v1/fleet/join", model::to_json(request));
  }
  model::Admission joined(const std::string& name) {
    const Got got = join(request_of(name), token());
    REQUIRE_MESSAGE(got.status == 200, got.text);
    return *model::admission_from(got.body);
  }
  // What the link adds to a call of that node.
  static std::vector<http::OwnField> as(const std::string& node, const std::string& certificate,
                                        const std::string& caller = "daemon") {
    return {{std::string(api::kNodeHeader), node},
            {std::string(api::kCertificateHeader), certificate},
            {std::string(api::kCallerHeader), caller}};
  }
  std::string report_of(const std::string& node) const {
    return "/internal/v1/nodes/" + node + "/report";
  }
  json::Value report(const std::string& name) const {
    model::NodeReport out = node();
    out.node = NodeId(name);
    return model::to_json(out);
  }

  crypto::RequestedKey key;
};

TEST_CASE_FIXTURE(Fixture, "a node joins with a token and gets what it needs, once") {
  const std::string text = token();
  const Got got = join(request_of("fra-1"), text);
  REQUIRE_MESSAGE(got.status == 200, got.text);
  const model::Admission admission = *model::admission_from(got.body);
  CHECK(admission.node.node == NodeId("fra-1"));
  CHECK(admission.node.membership.index == 1);
  CHECK(admission.node.membership.mesh_address == admission.prefix + "::1");
  CHECK(admission.nodes == std::vector{admission.node});
  CHECK(model::parse_join_token(text)->ca_fingerprint == *crypto::fingerprint(admission.ca_pem));
  CHECK(admission.node.membership.certificate == *crypto::fingerprint(admission.certificate_pem));

  const auto ring = secrets::KeyRing::parse(admission.key_ring);
  REQUIRE(ring.has_value());
  CHECK(ring->is_restricted());
  const secrets::Place secret{secrets::Kind::app_secret, "hello/A"};
  CHECK(ring->open(secret, *keys->ring().seal(secret, "v", h().entropy)) == std::string("v"));
  const secrets::Place ca{secrets::Kind::ca_key, "ca"};
  CHECK_FALSE(ring->open(ca, *keys->ring().seal(ca, "v", h().entropy)).has_value());

  CHECK(join(request_of("fra-2"), text).status == 401);  // spent
  const model::Admission next = joined("fra-2");
  CHECK(next.node.membership.index == 2);
  CHECK(next.nodes.size() == 2);
  CHECK(join(request_of("fra-1"), token()).status == 422);  // that name is taken
}

TEST_CASE_FIXTURE(Fixture,
                  "what is no good token, or no good request, is refused and spends none") {
  const std::string text = token();
  std::string wrong = text;
  wrong[30] = wrong[30] == 'a' ? 'b' : 'a';
  CHECK(join(request_of("fra-1"), wrong).status == 401);
  CHECK(join(request_of("fra-1"), "garbage").status == 400);
  model::JoinRequest request = request_of("fra-1");
  request.certificate_request = "garbage";
  CHECK(join(request, text).status == 400);
  request = request_of("fra-1");
  request.roles = {"control"};
  CHECK(join(request, text).status == 403);
  request.roles = {"king"};
  CHECK(join(request, text).status == 400);
  request = request_of("Fra.1");
  CHECK(join(request, text).status == 400);
  CHECK(join(request_of("fra-1"), text).status == 200);

  CHECK(call("POST", "/v1/nodes/tokens", R"({"uses":0})").status == 400);
  const Got made = call("POST", "/v1/nodes/tokens", R"({"uses":2,"ttl_seconds":60})");
  const std::string id = *made.body.require_string("id");
  CHECK(call("GET", "/v1/nodes/tokens").body.find("tokens")->items().size() == 1);
  CHECK(call("DELETE", "/v1/nodes/tokens/" + id).status == 204);
  CHECK(call("DELETE", "/v1/nodes/tokens/" + id).status == 404);
  CHECK(join(request_of("fra-2"), *made.body.require_string("token")).status == 401);
}

TEST_CASE_FIXTURE(Fixture, "with SQLite there is no token for another control") {
  const Got got = call("POST", "/v1/nodes/tokens", R"({"control":true})");
  CHECK(got.status == info(Code::unsupported).http_status);
  CHECK(got.text.find("etcd") != std::string::npos);
}

struct SharedStoreFixture : Fixture {
  SharedStoreFixture() {
    kill();
    config.store.engine = config::StoreConfig::Engine::etcd;  // as far as control can tell
    start();
  }
};

TEST_CASE_FIXTURE(SharedStoreFixture, "a node that joins with control gets all that control has") {
  model::JoinRequest request = request_of("ord-1");
  request.roles = {"control", "worker", "router"};
  CHECK(join(request, token()).status == 403);
  const std::string text = token(R"({"control":true})");
  const Got got = join(request, text);
  REQUIRE_MESSAGE(got.status == 200, got.text);
  const model::Admission admission = *model::admission_from(got.body);
  CHECK(*secrets::KeyRing::parse(admission.key_ring) == keys->ring());
  REQUIRE(admission.control.has_value());
  CHECK(admission.control->api_token == "secret");
  CHECK(admission.control->ca_certificate == certificates->ca_pem());
  CHECK(admission.control->ca_key == certificates->sealed_key());
  CHECK(crypto::fingerprint(admission.certificate_pem) == admission.node.membership.certificate);
  CHECK(join(request_of("ord-2"), text).status == 401);  // spent
}

TEST_CASE_FIXTURE(SharedStoreFixture, "a token for controls admits other nodes, without its keys") {
  const Got got = join(request_of("fra-1"), token(R"({"control":true})"));
  REQUIRE_MESSAGE(got.status == 200, got.text);
  const model::Admission admission = *model::admission_from(got.body);
  CHECK(secrets::KeyRing::parse(admission.key_ring)->is_restricted());
  CHECK_FALSE(admission.control.has_value());
}

TEST_CASE_FIXTURE(Fixture, "nothing of a token or a key is in the store") {
  const std::string text = token();
  const model::JoinToken parts = *model::parse_join_token(text);
  REQUIRE(join(request_of("fra-1"), token()).status == 200);
  for (const auto& entry : loop().run(store.list("/"))->entries) {
    CHECK(entry.value.find(parts.secret) == std::string::npos);
    CHECK(entry.value.find("PRIVATE KEY") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "a joined node speaks for itself, with its certificate, and no other") {
  const std::string fingerprint = joined("fra-1").node.membership.certificate;
  const auto status = [&](const std::string& target, const json::Value& body,
                          const std::vector<http::OwnField>& headers) {
    return ask_internal("POST", target, body, headers).status;
  };
  CHECK(status(report_of("fra-1"), report("fra-1"), as("fra-1", fingerprint)) == 204);
  CHECK(status(report_of("n1"), report("n1"), as("fra-1", fingerprint)) == 403);
  CHECK(status(report_of("fra-1"), report("fra-1"), as("fra-1", std::string(64, '0'))) == 403);
  CHECK(status(report_of("fra-1"), report("fra-1"), as("fra-9", fingerprint)) == 403);
  CHECK(status(report_of("fra-1"), report("fra-1"), as("fra-1", fingerprint, "router")) == 403);
  CHECK(status(report_of("fra-1"), report("fra-1"), {{"Perigee-Node", "fra-1"}}) == 403);
  // What only control's own node may ask.
  CHECK(status("/internal/v1/fleet/join-own", model::to_json(request_of("x")),
               as("fra-1", fingerprint)) == 403);
}

TEST_CASE_FIXTURE(Fixture, "control's own node joins without a token, and again with a new key") {
  model::JoinRequest request = request_of("n1");
  request.roles = {"control", "worker", "router"};
  const Got first = ask_internal("POST", "/internal/v1/fleet/join-own", model::to_json(request));
  REQUIRE_MESSAGE(first.status == 200, first.text);
  CHECK(model::admission_from(first.body)->key_ring.empty());
  request.certificate_request = crypto::request_certificate("n1")->request_pem;
  const Got second = ask_internal("POST", "/internal/v1/fleet/join-own", model::to_json(request));
  REQUIRE(second.status == 200);
  CHECK(model::admission_from(second.body)->node.membership.index == 1);
}

TEST_CASE_FIXTURE(Fixture, "a renewed certificate counts, and so does the one before it") {
  const std::string old = joined("fra-1").node.membership.certificate;
  const std::string target = "/internal/v1/fleet/nodes/fra-1/certificate";
  const auto renew = [&](const std::string& with) {
    const json::Value body =
        json::object({{"certificate_request", crypto::request_certificate("fra-1")->request_pem}});
    return ask_internal("POST", target, body, as("fra-1", with));
  };
  const Got got = renew(old);
  REQUIRE_MESSAGE(got.status == 200, got.text);
  const std::string next = model::admission_from(got.body)->node.membership.certificate;
  CHECK(next != old);
  CHECK(ask_internal("POST", report_of("fra-1"), report("fra-1"), as("fra-1", old)).status == 204);
  REQUIRE(renew(next).status == 200);
  CHECK(ask_internal("POST", report_of("fra-1"), report("fra-1"), as("fra-1", old)).status == 403);
  CHECK(ask_internal("POST", report_of("fra-1"), report("fra-1"), as("fra-1", next)).status == 204);
}

TEST_CASE_FIXTURE(Fixture,
                  "a node that never heard of its new certificate may ask again and again") {
  const std::string old = joined("fra-1").node.membership.certificate;
  const std::string target = "/internal/v1/fleet/nodes/fra-1/certificate";
  for (int i = 0; i < 3; ++i) {
    const json::Value body =
        json::object({{"certificate_request", crypto::request_certificate("fra-1")->request_pem}});
    CHECK(ask_internal("POST", target, body, as("fra-1", old)).status == 200);
  }
}

TEST_CASE_FIXTURE(Fixture, "an order to change a key stands until the node has another") {
  const std::string certificate = joined("fra-1").node.membership.certificate;
  const auto tell = [&](const std::string& key, const std::string& next) {
    const json::Value body = json::object({{"key", key}, {"next_key", next}});
    return ask_internal("POST", "/internal/v1/fleet/nodes/fra-1/wireguard-key", body,
                        as("fra-1", certificate))
        .status;
  };
  CHECK(shown("fra-1", "key_rotation").empty());
  CHECK(call("POST", "/v1/nodes/fra-1/rotate-keys", "{}").status == 202);
  CHECK(shown("fra-1", "key_rotation") == "ordered");
  REQUIRE(tell(wireguard_key("fra-1"), wireguard_key("next")) == 204);
  CHECK(shown("fra-1", "key_rotation") == "announced");
  CHECK(shown("fra-1", "wireguard_key") == wireguard_key("fra-1"));
  REQUIRE(tell(wireguard_key("next"), "") == 204);
  CHECK(shown("fra-1", "key_rotation").empty());
  CHECK(shown("fra-1", "wireguard_key") == wireguard_key("next"));
}

TEST_CASE_FIXTURE(Fixture, "nodes change their keys one at a time") {
  std::map<std::string, std::string> certificates;
  for (const std::string name : {"fra-1", "syd-1"}) {
    certificates[name] = joined(name).node.membership.certificate;
  }
  const auto tell = [&](const std::string& node, const std::string& key, const std::string& next) {
    const json::Value body = json::object({{"key", key}, {"next_key", next}});
    return ask_internal("POST", "/internal/v1/fleet/nodes/" + node + "/wireguard-key", body,
                        as(node, certificates[node]))
        .status;
  };
  REQUIRE(tell("fra-1", wireguard_key("fra-1"), wireguard_key("next")) == 204);
  CHECK(tell("fra-1", wireguard_key("fra-1"), wireguard_key("next")) == 204);  // once more
  CHECK(tell("syd-1", wireguard_key("syd-1"), wireguard_key("other")) == 409);
  REQUIRE(tell("fra-1", wireguard_key("next"), "") == 204);
  CHECK(tell("syd-1", wireguard_key("syd-1"), wireguard_key("other")) == 204);
}

TEST_CASE_FIXTURE(Fixture, "a node's WireGuard key is its own to change, and no other node's") {
  const std::string certificate = joined("fra-1").node.membership.certificate;
  joined("syd-1");
  const auto tell = [&](const std::string& node, const std::string& next) {
    const json::Value body = json::object({{"key", wireguard_key(node)}, {"next_key", next}});
    return ask_internal("POST", "/internal/v1/fleet/nodes/" + node + "/wireguard-key", body,
                        as("fra-1", certificate))
        .status;
  };
  CHECK(tell("syd-1", wireguard_key("next")) == 403);
  CHECK(tell("fra-1", wireguard_key("syd-1")) == 400);
  CHECK(tell("fra-1", "garbage") == 400);
  CHECK(tell("fra-1", wireguard_key("next")) == 204);
  model::JoinRequest copy = request_of("nrt-1");
  copy.wireguard_key = wireguard_key("next");
  CHECK(join(copy, token()).status == 400);
  CHECK(call("POST", "/v1/nodes/nrt-1/rotate-keys", "{}").status == 404);
}

TEST_CASE_FIXTURE(Fixture, "routers are told of the nodes that have joined, workers get blobs") {
  joined("fra-1");
  const auto got = loop().run(client.request(
      internal_address, request("GET", "/internal/v1/feed/routes"), {}, loop().deadline_in(20s)));
  REQUIRE(got.has_value());
  std::string text;
  while (text.find("\"synced\"") == std::string::npos) {
    std::string part(4096, '\0');
    const auto n = loop().run((*got)->body().read(part));
    REQUIRE((n && *n > 0));
    text += part.substr(0, *n);
  }
  CHECK(text.find("\"/nodes/fra-1\"") != std::string::npos);
  CHECK(text.find("\"has_worker\":true") != std::string::npos);

  images.blobs["sha256:abc"] = "the layer";
  const Got blob = ask_internal("GET", "/internal/v1/blobs/sha256:abc", {});
  CHECK(blob.status == 200);
  CHECK(blob.text == "the layer");
  CHECK(ask_internal("GET", "/internal/v1/blobs/sha256:none", {}).status == 404);
}

}  // namespace
}  // namespace perigee::control
