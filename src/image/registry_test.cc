// The registry client against registries that behave, and against others; and what builders say.
#include <doctest/doctest.h>

#include <algorithm>

#include "crypto/hash.h"
#include "image/build_tool.h"
#include "image/fake_registry.h"
#include "image/image.h"
#include "image/limits.h"
#include "image/registry.h"
#include "image/registry_auth.h"
#include "image/tar_builder.h"
#include "image/temp_dir.h"
#include "image/web.h"
#include "sys/posix_host.h"

namespace perigee::image {
namespace {

struct Fixture {
  TempDir dir;
  std::unique_ptr<sys::PosixHost> machine = *sys::PosixHost::open(6);
  sys::Host& host = machine->host();
  BlobStore blobs{host, dir.path("blobs")};
  TestImage image =
      make_image({TarBuilder().file("a", std::string(3 * kMiB, 'a')).end(),
                  TarBuilder().file("b", "b").end(), TarBuilder().file("c", "c").end()});

  Fixture() { ::setenv("DOCKER_CONFIG", dir.path("docker").c_str(), 1); }
  ~Fixture() { ::unsetenv("DOCKER_CONFIG"); }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  template <typename T>
  T run(async::Task<T> task) {
    return machine->loop().run(std::move(task));
  }
  Result<model::ImageRef> resolve(const FakeRegistry& registry, const std::string& rest = "/app",
                                  const Login& login = {}) {
    return run(image::resolve(host, blobs, parse_reference(registry.name() + rest).value(), login));
  }
  Result<Image> fetch(const model::ImageRef& ref, OnProgress progress = nullptr) {
    return run(image::fetch(host, blobs, ref, {}, std::move(progress)));
  }
  std::size_t stored() {
    return run(host.disk.list(dir.path("blobs/sha256")))
        .value_or(std::vector<std::string>{})
        .size();
  }
};

TEST_CASE("an image is resolved by tag, then fetched once, with progress to each layer's end") {
  Fixture f;
  FakeRegistry registry(f.host, serve_image(f.image));
  const auto ref = f.resolve(registry);
  REQUIRE_MESSAGE(ref.has_value(), (ref ? "" : ref.error().context));
  CHECK(ref->digest == f.image.manifest_digest);
  CHECK(ref->registry == registry.name());
  CHECK(ref->repository == "app");
  CHECK(f.stored() == 2);
  std::map<std::string, std::uint64_t> done;
  std::size_t reports = 0;
  const auto on_progress = [&](const Progress& progress) {
    ++reports;
    done[progress.digest] = progress.done;
    CHECK(progress.done <= progress.total);
  };
  const auto fetched = f.fetch(*ref, on_progress);
  REQUIRE_MESSAGE(fetched.has_value(), (fetched ? "" : fetched.error().context));
  CHECK(done.size() == 3);
  CHECK(done[f.image.diff_ids[0]] == f.image.layers[0].size());
  CHECK(reports > 4);
  CHECK(f.stored() == 5);
  const std::size_t asked = registry.seen.size();
  CHECK(f.fetch(*ref).has_value());
  CHECK(registry.seen.size() == asked);  // nothing was missing
  const model::ImageRef uploaded{
      .registry = {}, .repository = {}, .tag = {}, .digest = ref->digest};
  CHECK(f.fetch(uploaded).has_value());
}

TEST_CASE("an index is followed to this architecture's manifest") {
  Fixture f;
  const std::string index = fmt::format(
      R"({{"schemaVersion":2,"manifests":[{{"mediaType":"{0}","digest":"sha256:{1:064}","size":1,)"
      R"("platform":{{"os":"linux","architecture":"s390x"}}}},{{"mediaType":"{0}","digest":"{2}",)"
      R"("size":{3},"platform":{{"os":"linux","architecture":"{4}"}}}}]}})",
      kOciManifest, 0, f.image.manifest_digest, f.image.manifest.size(), this_architecture());
  const auto base = serve_image(f.image);
  FakeRegistry registry(f.host, [&](const FakeRequest& request) {
    return request.path == "/v2/app/manifests/latest" ? http_reply(200, index) : base(request);
  });
  const auto ref = f.resolve(registry);
  REQUIRE_MESSAGE(ref.has_value(), (ref ? "" : ref.error().context));
  CHECK(ref->digest == f.image.manifest_digest);
}

TEST_CASE("a log-in that is given goes before docker's, and one that is refused is said to be") {
  Fixture f;
  const auto base = serve_image(f.image);
  FakeRegistry registry(f.host, [&](const FakeRequest& request) {
    if (request.authorization == "Basic bWU6czNjcjN0") return base(request);
    return http_reply(401, "{}", "WWW-Authenticate: Basic realm=\"x\"\r\n");
  });
  f.dir.write("docker/config.json",
              fmt::format(R"({{"auths":{{"{}":{{"auth":"dTpw"}}}}}})", registry.name()));
  const auto refused = f.resolve(registry, "/app", {"me", "wr0ng"});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Code::unauthenticated);
  CHECK(refused.error().context.find("does not take the log-in") != std::string::npos);
  CHECK(refused.error().context.find("wr0ng") == std::string::npos);
  CHECK(f.resolve(registry, "/app", {"me", "s3cr3t"}).has_value());
}

TEST_CASE(
    "a bearer token is fetched with the stored log-in, and is not given to a redirect's host") {
  Fixture f;
  FakeRegistry storage(f.host, [&](const FakeRequest&) { return http_reply(200, f.image.config); });
  std::string self;
  const auto base = serve_image(f.image);
  FakeRegistry registry(f.host, [&](const FakeRequest& request) {
    if (request.path.starts_with("/token?")) {
      const bool known = request.authorization == "Basic dTpw";
      return known ? http_reply(200, R"({"token":"tkn"})") : http_reply(401, "{}");
    }
    if (request.authorization != "Bearer tkn") {
      return http_reply(
          401, "{}",
          fmt::format("WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"a "
                      "b\",scope=\"repository:app:pull\"\r\n",
                      self));
    }
    if (request.path.ends_with(f.image.config_digest)) {
      return http_reply(307, "", fmt::format("Location: http://{}/x\r\n", storage.name()));
    }
    return base(request);
  });
  self = registry.name();
  CHECK(f.resolve(registry).error().code == Code::unauthenticated);
  f.dir.write("docker/config.json",
              fmt::format(R"({{"auths":{{"{}":{{"auth":"dTpw"}}}}}})", registry.name()));
  const auto ref = f.resolve(registry);
  REQUIRE_MESSAGE(ref.has_value(), (ref ? "" : ref.error().context));
  REQUIRE(storage.seen.size() == 1);
  CHECK(storage.seen[0].authorization.empty());
  const bool escaped = std::ranges::any_of(registry.seen, [](const FakeRequest& request) {
    return request.path == "/token?service=a%20b&scope=repository:app:pull";
  });
  CHECK(escaped);
  CHECK(f.fetch(*ref).has_value());
}

TEST_CASE("a registry that refuses is quoted with its name and a next step") {
  Fixture f;
  const auto error = [&](std::string reply) {
    FakeRegistry registry(f.host, [reply](const FakeRequest&) { return reply; });
    const auto ref = f.resolve(registry, "/team/app:v1");
    REQUIRE_FALSE(ref.has_value());
    return ref.error();
  };
  const Error absent = error(http_reply(404, R"({"errors":[{"message":"manifest unknown"}]})"));
  CHECK(absent.code == Code::not_found);
  CHECK(absent.context.find("127.0.0.1") != std::string::npos);
  CHECK(absent.context.find("team/app (manifest unknown)") != std::string::npos);
  CHECK(error(http_reply(401, "{}")).context.find("`perigee registry login") != std::string::npos);
  CHECK(error(http_reply(403, "{}")).code == Code::permission_denied);
  CHECK(error(http_reply(200, "no JSON")).context.find("manifest") != std::string::npos);
  CHECK(error(http_reply(200, std::string(kMaxManifestBytes + 1, ' '))).context.find("more than") !=
        std::string::npos);
  CHECK(error("garbage\r\n\r\n").context.find("127.0.0.1") != std::string::npos);
  CHECK(error(http_reply(302, "", "Location: ftp://127.0.0.1/x\r\n")).code == Code::data_loss);
}

TEST_CASE("redirects in a circle end") {
  Fixture f;
  FakeRegistry registry(
      f.host, [](const FakeRequest&) { return http_reply(302, "", "Location: /again\r\n"); });
  const auto ref = f.resolve(registry);
  REQUIRE_FALSE(ref.has_value());
  CHECK(ref.error().context.find("redirects") != std::string::npos);
  CHECK(registry.seen.size() == static_cast<std::size_t>(kMaxRedirects) + 1);
}

TEST_CASE("a registry that fails for a moment is asked again; one that keeps failing is given up") {
  Fixture f;
  const auto base = serve_image(f.image);
  int failures = 2;
  FakeRegistry registry(f.host, [&](const FakeRequest& request) {
    return failures-- > 0 ? http_reply(failures == 1 ? 503 : 429, "{}") : base(request);
  });
  CHECK(f.resolve(registry).has_value());
  failures = 1000;
  const auto ref = f.resolve(registry);
  REQUIRE_FALSE(ref.has_value());
  CHECK(ref.error().code == Code::unavailable);
}

TEST_CASE("bytes that are not what the manifest says are not kept") {
  Fixture f;
  const auto base = serve_image(f.image);
  std::string body;
  FakeRegistry registry(f.host, [&](const FakeRequest& request) {
    return request.path.ends_with(f.image.diff_ids[1]) ? http_reply(200, body) : base(request);
  });
  const auto ref = f.resolve(registry);
  REQUIRE(ref.has_value());
  std::string other = f.image.layers[1];
  other[0] = 'x';
  for (const std::string& bytes : {other, f.image.layers[1] + "more", other.substr(0, 100)}) {
    body = bytes;
    const auto fetched = f.fetch(*ref);
    REQUIRE_FALSE(fetched.has_value());
    CHECK(fetched.error().code == Code::data_loss);
    CHECK(fetched.error().context.find("layer " + f.image.diff_ids[1]) != std::string::npos);
    CHECK_FALSE(f.run(f.blobs.has(f.image.diff_ids[1])).value());
  }
  body = f.image.layers[1];
  CHECK(f.fetch(*ref).has_value());  // the next attempt starts from what is there
}

TEST_CASE("documents that are not what was asked for by digest are refused") {
  Fixture f;
  const TestImage other = make_image({TarBuilder().file("other", "o").end()});
  const auto base = serve_image(f.image);
  std::string lies_about;
  FakeRegistry registry(f.host, [&](const FakeRequest& request) {
    if (!request.path.ends_with(lies_about)) return base(request);
    const bool manifest = request.path.find("/manifests/") != std::string::npos;
    return http_reply(200, manifest ? other.manifest : other.config);
  });
  lies_about = f.image.manifest_digest;
  const auto manifest = f.resolve(registry, "/app@" + f.image.manifest_digest);
  REQUIRE_FALSE(manifest.has_value());
  CHECK(manifest.error().code == Code::data_loss);
  CHECK(manifest.error().context.find("hashes to " + other.manifest_digest) != std::string::npos);
  lies_about = f.image.config_digest;
  const auto config = f.resolve(registry);
  REQUIRE_FALSE(config.has_value());
  CHECK(config.error().code == Code::data_loss);
  CHECK(config.error().context.find("image configuration") != std::string::npos);
  CHECK(f.stored() == 0);
}

TEST_CASE("a layer that the registry does not give is named, with what it answered") {
  Fixture f;
  const auto base = serve_image(f.image);
  std::string reply;
  FakeRegistry registry(f.host, [&](const FakeRequest& request) {
    return request.path.ends_with(f.image.diff_ids[1]) ? reply : base(request);
  });
  const auto ref = f.resolve(registry);
  REQUIRE(ref.has_value());
  const auto error = [&](std::string answer) {
    reply = std::move(answer);
    const auto fetched = f.fetch(*ref);
    REQUIRE_FALSE(fetched.has_value());
    CHECK(fetched.error().context.find("layer " + f.image.diff_ids[1]) != std::string::npos);
    CHECK_FALSE(f.run(f.blobs.has(f.image.diff_ids[1])).value());
    return fetched.error();
  };
  CHECK(error(http_reply(404, "{}")).code == Code::not_found);
  CHECK(error(http_reply(401, "{}")).code == Code::unauthenticated);
  CHECK(error(http_reply(302, "", "Location: /v2/app/blobs/" + f.image.diff_ids[1] + "\r\n"))
            .context.find("redirects") != std::string::npos);
}

TEST_CASE("a registry that stalls is given up at the deadline") {
  Fixture f;
  FakeRegistry registry(f.host, [](const FakeRequest&) { return std::string(); });
  const WebRequest request{.url = "http://" + registry.name() + "/v2/",
                           .accept = {},
                           .authorization = {},
                           .schemes = Schemes::http_too,
                           .proxy = Proxy::none,
                           .max_bytes = kMiB,
                           .timeout_seconds = 1};
  const auto reply = f.run(f.host.pool.run(f.host.loop, [request] {
    return web_get(request, [](std::string_view) { return Result<void>(); }, nullptr);
  }));
  REQUIRE_FALSE(reply.has_value());
  CHECK(reply.error().code == Code::deadline_exceeded);
  CHECK(reply.error().context.find(registry.name()) != std::string::npos);
}

async::Task<int> pause(async::Loop& loop) {
  co_await loop.sleep(100ms);
  co_return 0;
}

TEST_CASE("a fetch that nobody waits for any more stops") {
  Fixture f;
  const auto watch = *sys::PosixHost::open(0);
  auto registry = std::make_unique<FakeRegistry>(
      f.host, [](const FakeRequest&) { return std::string(); });  // never answers
  {
    auto task = resolve(f.host, f.blobs, parse_reference(registry->name() + "/app").value(), {});
    task.start();
    f.run(pause(f.machine->loop()));
    CHECK(registry->seen.size() == 1);
  }
  const MonotonicTime start = watch->port().now();
  registry.reset();
  f.machine.reset();  // waits for the pool
  CHECK(watch->port().now() - start < 5s);
}

TEST_CASE("challenges and docker's configuration are read as they are written") {
  const Challenge bearer{
      .kind = Challenge::Kind::bearer, .realm = "https://a/t?x=1", .service = "s", .scope = "a,b"};
  CHECK(choose_challenge(
            {"Negotiate", R"(bearer realm="https://a/t?x=1", service=s ,scope="a,b")"}) == bearer);
  CHECK(choose_challenge({"Basic realm=\"x\""})->kind == Challenge::Kind::basic);
  CHECK_FALSE(choose_challenge({"Bearer", "Bearer service=x", ""}).has_value());
  CHECK(token_url(bearer, "r") == "https://a/t?x=1&service=s&scope=a%2Cb");
  CHECK(parse_token(R"({"access_token":"t"})").value() == "t");
  CHECK_FALSE(parse_token(R"({"token":"a\r\nX: y"})").has_value());
  CHECK_FALSE(parse_token("{}").has_value());
  const char* config =
      R"({"auths":{"https://index.docker.io/v1/":{"auth":"aHVi"},"ghcr.io":{"auth":"Z2g="}}})";
  CHECK(find_credentials(config, "docker.io").value() == "aHVi");
  CHECK(find_credentials(config, "ghcr.io").value() == "Z2g=");
  CHECK(find_credentials(config, "cr.io").value().empty());
  CHECK_FALSE(find_credentials("{", "x").has_value());
  CHECK(is_loopback_registry("127.0.0.1:5000"));
  CHECK(is_loopback_registry("[::1]:5000"));
  CHECK(is_loopback_registry("localhost"));
  CHECK_FALSE(is_loopback_registry("localhost.example.com"));
  CHECK_FALSE(is_loopback_registry("127.example.com:5000"));
}

TEST_CASE("a failing build is told by its step and its last lines") {
  BuildLog log;
  CHECK(log.feed("STEP 1/2: FROM x\nSTEP 2/2: RUN ma").size() == 1);
  CHECK(log.feed("ke\r\ncc: no").front() == "STEP 2/2: RUN make");
  CHECK(log.finish().front() == "cc: no");
  const std::string failure = log.failure("exit code 2");
  CHECK(failure.starts_with("\"STEP 2/2: RUN make\" failed (exit code 2)"));
  CHECK(failure.ends_with("\n  cc: no"));
  CHECK(log.feed(std::string(1'000'000, 'x') + "\n").front().size() == kMaxBuildLineBytes);
  BuildLog kit;
  kit.feed("#6 [2/7] RUN x\n");
  CHECK(kit.failure("x").find("#6 [2/7] RUN x") != std::string::npos);
}

}  // namespace
}  // namespace perigee::image
