// Hashes against published vectors, certificates, and TLS over loopback sockets.
#include <doctest/doctest.h>

#include <array>

#include "async/combine.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "crypto/tls.h"
#include "sys/posix_host.h"

namespace perigee::crypto {
namespace {

constexpr WallTime kNow{1'790'000'000'000'000'000};

WallTime wall_now() {
  return WallTime{std::chrono::duration_cast<std::chrono::nanoseconds>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count()};
}

TEST_CASE("SHA-256 of FIPS 180-4's examples, whole and in parts") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hash;
  hash.update("a");
  hash.update("bc");
  CHECK(hash.hex() == sha256_hex("abc"));
}

TEST_CASE("base64 (RFC 4648 section 10) both ways, and only the one text for each value") {
  const std::array<std::pair<const char*, const char*>, 7> rows{{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, encoded] : rows) {
    CHECK(base64_encode(plain) == encoded);
    CHECK(base64_decode(encoded) == std::string(plain));
  }
  for (const char* bad : {"Z", "Zg=", "Zg", "Zh==", "====", "A===", "Zg==Zg==", "Z-==", "Zm9v\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(base64_decode(bad).has_value());
  }
}

TEST_CASE("comparison in constant time") {
  CHECK(equal_constant_time("secret", "secret"));
  CHECK_FALSE(equal_constant_time("secret", "secreT"));
  CHECK_FALSE(equal_constant_time("secret", "secrets"));
}

TEST_CASE("a leaf lasts as long as asked, and names that would forge an entry are refused") {
  const KeyPair ca = *create_ca("Perigee local CA", kNow);
  const auto leaf = issue(ca, {"hello.localhost", "127.0.0.1", "::1"}, kNow, 90);
  REQUIRE(leaf.has_value());
  CHECK(*not_after(leaf->certificate_pem) - kNow == Duration(std::chrono::hours(90 * 24)));
  CHECK_FALSE(issue(ca, {}, kNow, 90).has_value());
  CHECK_FALSE(issue(ca, {"a,DNS:b"}, kNow, 90).has_value());
  CHECK_FALSE(issue(KeyPair{"x", "y"}, {"a"}, kNow, 90).has_value());
  CHECK_FALSE(not_after("garbage").has_value());
}

struct Fixture {
  Fixture() {
    listener = *host->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
    REQUIRE(server->set_certificate("a.test", a.certificate_pem, a.private_key_pem).has_value());
  }
  async::Loop& loop() { return host->loop(); }
  Deadline soon() { return loop().deadline_in(10s); }
  KeyPair leaf(const std::string& name) { return *issue(ca, {name}, wall_now(), 30); }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  KeyPair ca = *create_ca("test CA", wall_now());
  KeyPair a = leaf("a.test");
  std::unique_ptr<TlsServer> server = *TlsServer::create();
  std::unique_ptr<TlsClient> client = *TlsClient::create(ca.certificate_pem);
  std::unique_ptr<sys::Listener> listener;
};

using StreamResult = Result<std::unique_ptr<sys::Stream>>;

async::Task<StreamResult> accept_tls(sys::Listener& listener, TlsServer& server) {
  CO_TRY(auto stream, co_await listener.accept());
  co_return co_await server.accept(std::move(stream));
}

async::Task<StreamResult> connect_tls(Fixture& f, TlsClient& client, std::string name) {
  CO_TRY(auto stream, co_await f.host->host().network.connect(f.listener->local(), f.soon()));
  co_return co_await client.connect(std::move(stream), name);
}

// Both ends of one attempt.
struct Pair {
  StreamResult server;
  StreamResult client;
};
async::Task<Pair> handshake(Fixture& f, TlsClient& client, std::string name) {
  std::vector<async::Task<StreamResult>> tasks;
  tasks.push_back(accept_tls(*f.listener, *f.server));
  tasks.push_back(connect_tls(f, client, std::move(name)));
  auto results = co_await async::all_of(f.loop(), std::move(tasks));
  co_return Pair{std::move(results[0]), std::move(results[1])};
}

async::Task<Result<std::string>> read_some(sys::Stream& stream) {
  std::string buffer(64 * 1024, '\0');
  CO_TRY(const std::size_t n, co_await stream.read(buffer));
  buffer.resize(n);
  co_return buffer;
}

async::Task<Result<std::string>> read_to_end(sys::Stream& stream) {
  std::string out;
  for (;;) {
    CO_TRY(const std::string part, co_await read_some(stream));
    if (part.empty()) co_return out;
    out += part;
  }
}

async::Task<Result<std::string>> write_and_end(sys::Stream& stream, std::string text) {
  CO_TRY_VOID(co_await stream.write(text));
  CO_TRY_VOID(stream.shutdown_write());
  co_return std::string();
}

TEST_CASE_FIXTURE(Fixture,
                  "both sides agree on the server's first protocol that the client knows") {
  const auto agreed = [&](const Protocols& ours, const Protocols& theirs) -> std::string {
    server = *TlsServer::create(ours);
    REQUIRE(server->set_certificate("a.test", a.certificate_pem, a.private_key_pem).has_value());
    client = *TlsClient::create(ca.certificate_pem, TlsClient::Verify::yes, theirs);
    const Pair pair = loop().run(handshake(*this, *client, "a.test"));
    if (!pair.server || !pair.client) return "refused";
    CHECK(agreed_protocol(**pair.client) == agreed_protocol(**pair.server));
    return agreed_protocol(**pair.server);
  };
  CHECK(agreed({"h2", "http/1.1"}, {"http/1.1", "h2"}) == "h2");
  CHECK(agreed({"h2", "http/1.1"}, {"http/1.1"}) == "http/1.1");
  CHECK(agreed({"http/1.1"}, {"h2"}) == "refused");
  CHECK(agreed({"h2", "http/1.1"}, {}).empty());
}

TEST_CASE_FIXTURE(Fixture, "a connection's certificate covers its own names alone") {
  const KeyPair wide = leaf("*.wide.test");
  REQUIRE(server->set_certificate("*.wide.test", wide.certificate_pem, wide.private_key_pem)
              .has_value());
  const Pair pair = loop().run(handshake(*this, *client, "b.wide.test"));
  REQUIRE_MESSAGE(pair.server.has_value(), pair.server.error().context);
  CHECK(certificate_covers(**pair.server, "c.wide.test"));
  CHECK_FALSE(certificate_covers(**pair.server, "a.test"));
  CHECK_FALSE(certificate_covers(**pair.server, "c.b.wide.test"));
}

TEST_CASE_FIXTURE(Fixture, "megabytes go both ways at once, then both ends see a clean close") {
  Pair pair = loop().run(handshake(*this, *client, "a.test"));
  REQUIRE_MESSAGE(pair.server.has_value(), pair.server.error().context);
  REQUIRE_MESSAGE(pair.client.has_value(), pair.client.error().context);
  CHECK(server_name(**pair.server) == "a.test");
  const std::string up(3'000'000, 'u');
  const std::string down(2'000'000, 'd');
  std::vector<async::Task<Result<std::string>>> tasks;
  tasks.push_back(write_and_end(**pair.client, up));
  tasks.push_back(write_and_end(**pair.server, down));
  tasks.push_back(read_to_end(**pair.server));
  tasks.push_back(read_to_end(**pair.client));
  auto results = loop().run(async::all_of(loop(), std::move(tasks)));
  CHECK((results[2].has_value() && *results[2] == up));
  CHECK((results[3].has_value() && *results[3] == down));
}

TEST_CASE_FIXTURE(Fixture, "an unknown name and no name at all are refused on both ends") {
  for (const std::string& name : {std::string("b.test"), std::string("127.0.0.1")}) {
    Pair pair = loop().run(handshake(*this, *client, name));
    CHECK_FALSE(pair.server.has_value());
    REQUIRE_FALSE(pair.client.has_value());
    CHECK(pair.client.error().context.find("unrecognized name") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "a client that trusts another CA, or expects another name, refuses") {
  auto stranger = *TlsClient::create(create_ca("other", wall_now())->certificate_pem);
  CHECK_FALSE(loop().run(handshake(*this, *stranger, "a.test")).client.has_value());
  REQUIRE(server->set_certificate("c.test", a.certificate_pem, a.private_key_pem).has_value());
  CHECK_FALSE(loop().run(handshake(*this, *client, "c.test")).client.has_value());
}

TEST_CASE_FIXTURE(Fixture, "a running connection outlives its certificate") {
  Pair first = loop().run(handshake(*this, *client, "a.test"));
  REQUIRE(first.client.has_value());
  const KeyPair other = *create_ca("second CA", wall_now());
  const KeyPair renewed = *issue(other, {"a.test"}, wall_now(), 30);
  REQUIRE(server->set_certificate("a.test", renewed.certificate_pem, renewed.private_key_pem)
              .has_value());
  CHECK_FALSE(loop().run(handshake(*this, *client, "a.test")).client.has_value());
  auto new_client = *TlsClient::create(other.certificate_pem);
  CHECK(loop().run(handshake(*this, *new_client, "A.Test")).client.has_value());
  server->remove_certificate("a.test");
  CHECK_FALSE(loop().run(handshake(*this, *new_client, "a.test")).client.has_value());
  REQUIRE(loop().run((*first.client)->write("still here")).has_value());
  CHECK(loop().run(read_some(**first.server)) == std::string("still here"));
}

TEST_CASE_FIXTURE(Fixture, "a wildcard serves one label") {
  const KeyPair wild = leaf("*.wild.test");
  REQUIRE(server->set_certificate("*.wild.test", wild.certificate_pem, wild.private_key_pem)
              .has_value());
  CHECK(loop().run(handshake(*this, *client, "x.wild.test")).client.has_value());
  CHECK_FALSE(loop().run(handshake(*this, *client, "x.y.wild.test")).client.has_value());
}

TEST_CASE_FIXTURE(Fixture, "an authority that comes for acme-tls/1 sees what is for it alone") {
  const auto at = [&](const std::string& name, const Protocols& protocols) {
    client = *TlsClient::create("", TlsClient::Verify::no, protocols);
    return loop().run(handshake(*this, *client, name));
  };
  const KeyPair proof = *create_validation("b.test", std::string(32, 'd'), wall_now());
  REQUIRE(server->set_validation("b.test", proof).has_value());
  const Pair asked = at("B.test", {"acme-tls/1"});
  REQUIRE_MESSAGE(asked.client.has_value(), asked.client.error().context);
  CHECK(agreed_protocol(**asked.client) == "acme-tls/1");
  REQUIRE_FALSE(asked.server.has_value());  // nothing follows
  CHECK(asked.server.error().code == Code::cancelled);
  CHECK_FALSE(at("b.test", {"http/1.1"}).client.has_value());
  CHECK_FALSE(at("b.test", {"acme-tls/1", "http/1.1"}).client.has_value());
  CHECK_FALSE(at("a.test", {"acme-tls/1"}).client.has_value());
  CHECK(at("a.test", {"http/1.1"}).server.has_value());
  server->remove_validation("b.test");
  CHECK_FALSE(at("b.test", {"acme-tls/1"}).client.has_value());
}

TEST_CASE_FIXTURE(Fixture, "certificates of both kinds of key stand side by side") {
  const RequestedKey request = *request_host_certificate("a.test", KeyType::rsa);
  const KeyPair rsa_ca = *create_ca("second CA", wall_now());
  const KeyPair rsa{
      .certificate_pem = *issue_requested(rsa_ca, request.request_pem, {"a.test"}, wall_now(), 24h),
      .private_key_pem = request.private_key_pem};
  REQUIRE(server->set_certificates("a.test", std::array{rsa, a}).has_value());
  CHECK(loop().run(handshake(*this, *client, "a.test")).client.has_value());  // ECDSA is cheaper
  const std::array mixed{KeyPair{rsa.certificate_pem, a.private_key_pem}, a};
  CHECK_FALSE(server->set_certificates("a.test", mixed).has_value());
  CHECK(loop().run(handshake(*this, *client, "a.test")).client.has_value());
}

async::Task<Result<void>> send_raw(Fixture& f, std::string bytes) {
  CO_TRY(auto stream, co_await f.host->host().network.connect(f.listener->local(), f.soon()));
  CO_TRY_VOID(co_await stream->write(bytes));
  CO_TRY_VOID(stream->shutdown_write());
  [[maybe_unused]] const auto answer = co_await read_to_end(*stream);
  co_return Result<void>();
}
async::Task<Result<void>> accept_only(Fixture& f) {
  CO_TRY([[maybe_unused]] const auto stream, co_await accept_tls(*f.listener, *f.server));
  co_return Result<void>();
}

TEST_CASE_FIXTURE(Fixture, "garbage, plain HTTP and silence instead of a ClientHello fail") {
  // A hello that is cut after its record header, too.
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), std::string(5000, '\xff'),
        std::string("\x16\x03\x01\x40\x00", 5), std::string()}) {
    std::vector<async::Task<Result<void>>> tasks;
    tasks.push_back(accept_only(*this));
    tasks.push_back(send_raw(*this, bytes));
    auto results = loop().run(async::all_of(loop(), std::move(tasks)));
    CHECK_FALSE(results[0].has_value());
  }
}

// A stream that can be told to lose what is written.
class Mute : public sys::Stream {
 public:
  Mute(std::unique_ptr<sys::Stream> below, const bool& muted)
      : below_(std::move(below)), muted_(muted) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    return below_->read(into);
  }
  async::Task<Result<void>> write(std::string_view data) override {
    return below_->write(muted_ ? std::string_view() : data);
  }
  Result<std::optional<std::size_t>> try_read(std::span<char> into) override {
    return below_->try_read(into);
  }
  void when_readable(async::Waiter& waiter) override { below_->when_readable(waiter); }
  Result<void> shutdown_write() override { return below_->shutdown_write(); }
  sys::Address peer() const override { return below_->peer(); }
  sys::Address local() const override { return below_->local(); }

 private:
  std::unique_ptr<sys::Stream> below_;
  const bool& muted_;
};

async::Task<StreamResult> connect_mute(Fixture& f, const bool& muted) {
  CO_TRY(auto stream, co_await f.host->host().network.connect(f.listener->local(), f.soon()));
  co_return co_await f.client->connect(std::make_unique<Mute>(std::move(stream), muted), "a.test");
}

TEST_CASE_FIXTURE(Fixture, "a connection cut without close_notify is no clean end") {
  bool muted = false;
  std::vector<async::Task<StreamResult>> tasks;
  tasks.push_back(accept_tls(*listener, *server));
  tasks.push_back(connect_mute(*this, muted));
  auto ends = loop().run(async::all_of(loop(), std::move(tasks)));
  REQUIRE(ends[1].has_value());
  REQUIRE(loop().run((*ends[1])->write("half")).has_value());
  muted = true;
  ends[1]->reset();
  const auto read = loop().run(read_to_end(**ends[0]));
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().code == Code::end_of_stream);
}

TEST_CASE_FIXTURE(Fixture, "wrong PEM texts are refused with the host's name") {
  const auto bad = server->set_certificate("x.test", "no pem", "no pem");
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.error().context.find("certificate of x.test") == 0);
  const KeyPair other = leaf("x.test");
  CHECK_FALSE(
      server->set_certificate("x.test", a.certificate_pem, other.private_key_pem).has_value());
  CHECK_FALSE(TlsClient::create("no pem").has_value());
}

}  // namespace
}  // namespace perigee::crypto
