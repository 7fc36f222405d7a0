#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "crypto/hash.h"
#include "secrets/key_file.h"
#include "secrets/limits.h"
#include "sys/posix_host.h"

namespace perigee::secrets {
namespace {

struct Fixture {
  Fixture() {
    std::string pattern = "/tmp/perigee-keys-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    path = directory + "/keys.json";
  }
  ~Fixture() { std::filesystem::remove_all(directory); }

  sys::Host& h() { return host->host(); }
  sys::Entropy& entropy() { return h().entropy; }
  template <typename T>
  T run(async::Task<T> task) {
    return host->loop().run(std::move(task));
  }
  std::unique_ptr<KeyFile> opened() {
    REQUIRE(run(KeyFile::ensure(h(), path)).has_value());
    return *run(KeyFile::open(h(), path));
  }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  std::string directory;
  std::string path;
  KeyRing ring = KeyRing::create(host->host().entropy, {});
};

const Place kPlace{Kind::app_secret, "hello/PASSWORD"};

TEST_CASE_FIXTURE(Fixture, "a sealed value opens at its place and shows nothing of itself") {
  const std::string sealed = *ring.seal(kPlace, "correct horse", entropy());
  CHECK(*ring.open(kPlace, sealed) == "correct horse");
  CHECK(sealed.starts_with("sealed1:" + ring.primary() + ":"));
  CHECK(sealed.find("horse") == std::string::npos);
  CHECK(sealed.find(crypto::base64_encode("correct horse").substr(0, 8)) == std::string::npos);
  CHECK(*ring.seal(kPlace, "correct horse", entropy()) != sealed);
  CHECK(*ring.open(kPlace, *ring.seal(kPlace, "", entropy())).value().c_str() == '\0');
}

TEST_CASE_FIXTURE(Fixture, "a value that is moved to another app, name or kind does not open") {
  const std::string sealed = *ring.seal(kPlace, "value", entropy());
  for (const Place& place :
       {Place{Kind::app_secret, "other/PASSWORD"}, Place{Kind::app_secret, "hello/OTHER"},
        Place{Kind::volume_key, "hello/PASSWORD"}}) {
    const auto opened = ring.open(place, sealed);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Code::data_loss);
    CHECK(opened.error().context.find("value") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "a value of another ring says which key is missing") {
  const KeyRing other = KeyRing::create(entropy(), {});
  const auto opened = ring.open(kPlace, *other.seal(kPlace, "value", entropy()));
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == Code::not_found);
  CHECK(opened.error().context.find(other.primary()) != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "after a rotation old values open until their key is retired") {
  const std::string old_key = ring.primary();
  const std::string old = *ring.seal(kPlace, "value", entropy());
  REQUIRE(ring.rotate(entropy(), {}).has_value());
  CHECK(ring.primary() != old_key);
  CHECK(*ring.open(kPlace, old) == "value");
  CHECK_FALSE(ring.is_current(old));
  const std::string sealed_anew = *ring.seal(kPlace, "value", entropy());
  CHECK(ring.is_current(sealed_anew));
  ring.retire(old_key);
  CHECK_FALSE(ring.open(kPlace, old).has_value());
  CHECK(*ring.open(kPlace, sealed_anew) == "value");
  ring.retire(ring.primary());  // never
  CHECK(*ring.open(kPlace, sealed_anew) == "value");
}

TEST_CASE_FIXTURE(Fixture, "a ring takes so many keys and no more") {
  for (std::size_t i = 1; i < kMaxKeys; ++i) REQUIRE(ring.rotate(entropy(), {}).has_value());
  CHECK(ring.rotate(entropy(), {}).error().code == Code::resource_exhausted);
  CHECK(*KeyRing::parse(ring.text()) == ring);
  CHECK(ring.text().size() <= kMaxKeyFileBytes);
}

TEST_CASE_FIXTURE(Fixture, "the keys of one kind open that kind and no other") {
  const Place certificate{Kind::certificate_key, "hello.localhost"};
  const std::string key = *ring.seal(certificate, "PEM", entropy());
  const std::string secret = *ring.seal(kPlace, "value", entropy());
  const KindKeys keys =
      *KindKeys::from(Kind::certificate_key, ring.keys_of(Kind::certificate_key).to_json());
  CHECK(*keys.open("hello.localhost", key) == "PEM");
  CHECK_FALSE(keys.open("hello/PASSWORD", secret).has_value());
  CHECK(keys.has(ring.primary()));
  const KindKeys none(Kind::certificate_key);
  CHECK(none.open("hello.localhost", key).error().code == Code::not_found);
  CHECK_FALSE(KindKeys::from(Kind::certificate_key, json::object({{"k", "short"}})).has_value());
}

TEST_CASE_FIXTURE(Fixture, "a restricted ring opens the kinds it was given, and seals nothing") {
  const std::string secret = *ring.seal(kPlace, "hunter2", entropy());
  const Place other{Kind::certificate_key, "hello.example"};
  const std::string key = *ring.seal(other, "KEY", entropy());
  const std::array kinds{Kind::app_secret, Kind::volume_key};
  KeyRing node = *KeyRing::parse(ring.text_for(kinds));
  CHECK(node.is_restricted());
  CHECK(node.open(kPlace, secret) == std::string("hunter2"));
  CHECK(node.open(other, key).error().code == Code::permission_denied);
  CHECK(node.seal(kPlace, "x", entropy()).error().code == Code::permission_denied);
  CHECK(node.rotate(entropy(), WallTime{}).error().code == Code::permission_denied);
  CHECK_FALSE(node.keys_of(Kind::certificate_key).has(ring.primary()));
  CHECK(node.keys_of(Kind::app_secret).open(kPlace.name, secret) == std::string("hunter2"));
  // It says the same after its own round trip, and never more.
  CHECK(*KeyRing::parse(node.text()) == node);
  CHECK(node.text().find("\"secret\"") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "digests tell values and places apart and outlive rotations") {
  const std::string digest = ring.digest(kPlace, "value");
  CHECK(digest.size() == 16);
  CHECK(ring.digest(kPlace, "value") == digest);
  CHECK(ring.digest(kPlace, "other") != digest);
  CHECK(ring.digest({Kind::app_secret, "other/PASSWORD"}, "value") != digest);
  CHECK(KeyRing::create(entropy(), {}).digest(kPlace, "value") != digest);
  REQUIRE(ring.rotate(entropy(), {}).has_value());
  CHECK(ring.digest(kPlace, "value") == digest);
}

TEST_CASE("texts that are no sealed value are refused") {
  for (const char* text : {"", "plain", "sealed1:", "sealed1:k1", "sealed1:k1:", "sealed1:k1:AAAA",
                           "sealed1:K1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                           "sealed2:k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                           "sealed1:k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!"}) {
    CHECK_MESSAGE(!parse_sealed(text).has_value(), text);
  }
  CHECK(parse_sealed("sealed1:k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").has_value());
}

TEST_CASE("files that are no key ring are refused with the member that is wrong") {
  const auto error = [](const char* text) { return KeyRing::parse(text).error().context; };
  CHECK(error("{}") == "version: missing");
  CHECK(error(R"({"version": 2})") == "key ring of version 2");
  CHECK(error(R"({"version": 1, "primary": "k1", "digest_key": "AAAA"})") ==
        "digest_key: expected 32 bytes in base64");
  const std::string good_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  CHECK(error((R"({"version": 1, "primary": "k1", "digest_key": ")" + good_key + "\"}").c_str()) ==
        "primary: there is no key k1");
}

TEST_CASE_FIXTURE(Fixture, "the ring's file is made once, for root alone, and follows a rotation") {
  const auto keys = opened();
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const std::string sealed = *keys->ring().seal(kPlace, "value", entropy());
  const auto other = opened();  // another process's
  CHECK(other->ring() == keys->ring());
  REQUIRE(run(keys->rotate()).has_value());
  const std::string newer = *keys->ring().seal(kPlace, "newer", entropy());
  CHECK(*run(other->open_value(kPlace, newer)) == "newer");
  CHECK(*run(other->open_value(kPlace, sealed)) == "value");
  const std::string old_key = parse_sealed(sealed)->key_id;
  REQUIRE(run(keys->retire(old_key)).has_value());
  CHECK(run(opened()->open_value(kPlace, sealed)).error().code == Code::not_found);
}

TEST_CASE_FIXTURE(Fixture, "a damaged ring is an error that names the file") {
  std::ofstream(path) << "{";
  const auto keys = run(KeyFile::open(h(), path));
  REQUIRE_FALSE(keys.has_value());
  CHECK(keys.error().context.find(path) != std::string::npos);
}

}  // namespace
}  // namespace perigee::secrets
