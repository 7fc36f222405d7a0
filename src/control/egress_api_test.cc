#include "control/control_fixture.h"

namespace perigee::control {

TEST_CASE_FIXTURE(ControlFixture, "an app's egress policy is shown, replaced, and kept") {
  call("POST", "/v1/apps", R"({"name": "web"})");
  CHECK(call("GET", "/v1/apps/web/egress").body.dump() == R"({"policy":"internet","allow":[]})");
  const Got replaced = call("PUT", "/v1/apps/web/egress",
                            R"({"policy": "list", "allow": ["203.0.113.0/24:443", "::1"]})");
  CHECK(replaced.status == 200);
  CHECK(call("GET", "/v1/apps/web/egress").body.dump() ==
        R"({"policy":"list","allow":["203.0.113.0/24:443","::1/128"]})");
}

TEST_CASE_FIXTURE(ControlFixture, "a policy that can't be is refused and changes nothing") {
  call("POST", "/v1/apps", R"({"name": "web"})");
  const char* kBad[] = {R"({"policy": "open"})", R"({"policy": "closed", "allow": ["::/0"]})",
                        R"({"policy": "list", "allow": ["example.com"]})",
                        R"({"policy": "list", "allow": "::/0"})"};
  for (const char* body : kBad) {
    INFO(body);
    CHECK(call("PUT", "/v1/apps/web/egress", body).status == 400);
  }
  CHECK(call("GET", "/v1/apps/web/egress").body.dump() == R"({"policy":"internet","allow":[]})");
  CHECK(call("GET", "/v1/apps/nobody/egress").status == 404);
  CHECK(call("PUT", "/v1/apps/nobody/egress", R"({"policy": "closed"})").status == 404);
}

}  // namespace perigee::control
