#include "vm/platform.h"

#include <doctest/doctest.h>

using namespace perigee;
using namespace perigee::vm;

namespace {

PlatformVerdict example() {
  return {.platform = Platform::tcg,
          .refused = {{Platform::firecracker, "firecracker: no such program"},
                      {Platform::kvm, "there is no /dev/kvm"}},
          .tsc_khz = 2'596'138};
}

}  // namespace

TEST_CASE("platforms have names, best first") {
  CHECK(kPlatforms.front() == Platform::firecracker);
  CHECK(kPlatforms.back() == Platform::tcg);
  for (const Platform platform : kPlatforms) CHECK(platform_named(to_string(platform)) == platform);
  CHECK(platform_named("auto") == std::nullopt);
}

TEST_CASE("a verdict is kept with the reason of each that was refused") {
  const auto kept = verdict_from(to_json(example(), "boot-1", "/a;/b;"), "boot-1", "/a;/b;");
  REQUIRE(kept.has_value());
  CHECK((*kept == example()));
  CHECK(to_string(kept->refused) ==
        "firecracker: firecracker: no such program; kvm: there is no /dev/kvm");
}

TEST_CASE("a verdict counts for this boot of the host and these programs alone") {
  const json::Value kept = to_json(example(), "boot-1", "/a;");
  CHECK(!verdict_from(kept, "boot-2", "/a;").has_value());
  CHECK(!verdict_from(kept, "boot-1", "/a;/firecracker").has_value());
}

TEST_CASE("a damaged verdict is no verdict") {
  for (const char* text :
       {R"({})", R"({"host_boot":"b","programs":"p","platform":"xen","tsc_khz":1})",
        R"({"host_boot":"b","programs":"p","platform":"kvm"})",
        R"({"host_boot":"b","programs":"p","platform":"kvm","tsc_khz":-5})",
        R"({"host_boot":"b","programs":"p","platform":"kvm","tsc_khz":1,"refused":[{}]})"}) {
    CAPTURE(text);
    CHECK(!verdict_from(json::parse(text).value(), "b", "p").has_value());
  }
}

TEST_CASE("QEMU's settings follow from the platform") {
  const Guest guest{.kernel = "/k", .initrd = "/i", .tsc_khz = 7};
  CHECK(settings_for(Platform::kvm, guest)->accelerator == Accelerator::kvm);
  CHECK(settings_for(Platform::tcg, guest)->accelerator == Accelerator::tcg);
  CHECK(settings_for(Platform::tcg, guest)->kernel == "/k");
}
