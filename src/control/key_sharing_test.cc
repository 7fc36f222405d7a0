// A new key is in the ring of every control of a fleet before anything is sealed with it.
#include <doctest/doctest.h>

#include "control/peers_fixture.h"

namespace perigee::control {
namespace {

constexpr const char* kRing = "/internal/v1/keys/ring";

Got give(PeersFixture& f, const char* from, const secrets::KeyRing& ring) {
  return f.ask_as(from, "daemon", f.request("POST", kRing),
                  json::object({{"key_ring", ring.text()}}).dump());
}

TEST_CASE_FIXTURE(PeersFixture, "a key is not rotated while another control does not answer") {
  const std::string before = keys->ring().primary();
  const Got got = call("POST", "/v1/keys/rotate");
  CHECK(got.status == 503);
  CHECK(got.text.find("n2") != std::string::npos);
  CHECK(keys->ring().primary() == before);
}

TEST_CASE_FIXTURE(PeersFixture,
                  "a new key goes to the other controls, and so does the end of the old") {
  link.answers["/internal/v1/reports"] = R"({"reports": []})";
  REQUIRE(report("n1", "n1") == 204);
  REQUIRE(report("n3", "n3") == 204);
  REQUIRE(report("n2", "n2") == 204);
  const std::string before = keys->ring().primary();
  CHECK(call("POST", "/v1/keys/rotate").status == 202);
  REQUIRE(link.bodies.contains(kRing));
  const auto told = [&] {
    return *secrets::KeyRing::parse(
        *json::parse(link.bodies.at(kRing))->require_string("key_ring"));
  };
  CHECK(told().primary() != before);
  CHECK(eventually([&] { return keys->ring().key_ids().size() == 1; }));
  CHECK(eventually([&] { return told() == keys->ring(); }));
}

TEST_CASE_FIXTURE(PeersFixture, "another control's ring is taken over, with this one's own files") {
  secrets::KeyRing next = keys->ring();
  REQUIRE(next.rotate(h().entropy, h().clock.wall()).has_value());
  CHECK(give(*this, "n3", next).status == 403);
  CHECK(give(*this, "n2", next).status == 204);
  CHECK(keys->ring() == next);
  CHECK(next.is_current(certificates->sealed_key()));
  const auto on_disk = loop().run(secrets::KeyFile::open(h(), directory + "/keys.json"));
  CHECK((*on_disk)->ring() == next);

  const secrets::KeyRing foreign = secrets::KeyRing::create(h().entropy, h().clock.wall());
  CHECK(give(*this, "n2", foreign).status == 409);
  CHECK(keys->ring() == next);
}

}  // namespace
}  // namespace perigee::control
