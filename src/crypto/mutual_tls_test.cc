// Mutual TLS: a client's certificate, and who it says that the client is.
#include <doctest/doctest.h>

#include "async/combine.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "crypto/tls.h"
#include "sys/posix_host.h"

namespace perigee::crypto {
namespace {

struct Fixture {
  Fixture() {
    listener = *host->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
    REQUIRE(server->ask_clients(ca.certificate_pem).has_value());
    const KeyPair own = *issue(ca, {"iad.test"}, now(), 30);
    REQUIRE(
        server->set_certificate("iad.test", own.certificate_pem, own.private_key_pem).has_value());
  }
  WallTime now() { return host->host().clock.wall(); }
  // What a joining node gets: its own key, a certificate for both ends.
  KeyPair node(const KeyPair& authority, const std::string& name, int days = 30) {
    const RequestedKey key = *request_certificate(name);
    return {*issue_requested(authority, key.request_pem, {name}, now(), days * 24h),
            key.private_key_pem};
  }
  // Whom the server takes the client for; an error where the handshake fails on its side.
  Result<std::optional<PeerIdentity>> seen(TlsClient& client);

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  KeyPair ca = *create_ca("fleet", now());
  std::unique_ptr<TlsServer> server = *TlsServer::create();
  std::unique_ptr<TlsClient> client = *TlsClient::create(ca.certificate_pem);
  std::unique_ptr<sys::Listener> listener;
};

async::Task<Result<std::optional<PeerIdentity>>> accept_one(Fixture& f) {
  CO_TRY(auto stream, co_await f.listener->accept());
  CO_TRY(const auto secure, co_await f.server->accept(std::move(stream)));
  co_return peer_identity(*secure);
}

// Reads too: with TLS 1.3 a client learns only then that its certificate was refused.
async::Task<Result<std::optional<PeerIdentity>>> connect_one(Fixture& f, TlsClient& client) {
  const Deadline soon = f.host->loop().deadline_in(10s);
  CO_TRY(auto stream, co_await f.host->host().network.connect(f.listener->local(), soon));
  CO_TRY(const auto secure, co_await client.connect(std::move(stream), "iad.test"));
  std::array<char, 1> byte{};
  [[maybe_unused]] const auto end = co_await secure->read(byte);
  co_return peer_identity(*secure);
}

Result<std::optional<PeerIdentity>> Fixture::seen(TlsClient& from) {
  std::vector<async::Task<Result<std::optional<PeerIdentity>>>> ends;
  ends.push_back(accept_one(*this));
  ends.push_back(connect_one(*this, from));
  auto results = host->loop().run(async::all_of(host->loop(), std::move(ends)));
  if (results[0]) CHECK(results[1].value()->name == "iad.test");
  return std::move(results[0]);
}

TEST_CASE_FIXTURE(Fixture, "a client is known by the certificate of its own key") {
  const KeyPair fra = node(ca, "fra-1");
  REQUIRE(client->identify_as(fra).has_value());
  const auto peer = seen(*client);
  REQUIRE(peer.has_value());
  CHECK(*peer == PeerIdentity{"fra-1", *fingerprint(fra.certificate_pem)});
}

TEST_CASE_FIXTURE(Fixture, "a client without a certificate is let through as nobody") {
  const auto peer = seen(*client);
  REQUIRE(peer.has_value());
  CHECK_FALSE(peer->has_value());
}

TEST_CASE_FIXTURE(Fixture, "a certificate of another CA, and one that has run out, are refused") {
  const KeyPair other = *create_ca("fleet", now());
  REQUIRE(client->identify_as(node(other, "fra-1")).has_value());
  CHECK_FALSE(seen(*client).has_value());
  REQUIRE(client->identify_as(node(ca, "fra-1", -1)).has_value());
  CHECK_FALSE(seen(*client).has_value());
  // One for servers alone does not make a client.
  REQUIRE(client->identify_as(*issue(ca, {"fra-1"}, now(), 30)).has_value());
  CHECK_FALSE(seen(*client).has_value());
}

TEST_CASE_FIXTURE(Fixture, "a certificate goes to the key that signed its request, to no other") {
  const RequestedKey key = *request_certificate("fra-1");
  CHECK_FALSE(issue_requested(ca, "garbage", {"fra-1"}, now(), 1h).has_value());
  std::string changed = key.request_pem;
  const std::size_t middle = changed.size() / 2;
  changed[middle] = changed[middle] == 'A' ? 'B' : 'A';
  CHECK_FALSE(issue_requested(ca, changed, {"fra-1"}, now(), 1h).has_value());
  const std::string certificate = *issue_requested(ca, key.request_pem, {"fra-1"}, now(), 90s);
  CHECK(*not_after(certificate) - *renewal_due(certificate) == 30s);
  CHECK_FALSE(
      client->identify_as({certificate, request_certificate("x")->private_key_pem}).has_value());
}

}  // namespace
}  // namespace perigee::crypto
