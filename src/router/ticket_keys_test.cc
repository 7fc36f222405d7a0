// Keys of session tickets: the same at every router, others as time goes on.
#include "router/ticket_keys.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace perigee::router {
namespace {

constexpr WallTime kNow{1'800'000'000'000'000'000};

secrets::KindKeys keys_of(std::initializer_list<std::string> ids) {
  secrets::KindKeys keys(secrets::Kind::certificate_key);
  for (const std::string& id : ids) keys.add(id, std::string(32, id.front()));
  return keys;
}

WallTime later(Duration time) {
  return WallTime{kNow.ns + std::chrono::nanoseconds(time).count()};
}

bool opens(const std::vector<crypto::TicketKey>& all, const crypto::TicketKey& sealed) {
  return std::ranges::find(all, sealed) != all.end();
}

TEST_CASE("routers that have the same keys seal tickets alike") {
  const auto all = ticket_keys(keys_of({"a", "b"}), kNow);
  CHECK(all == ticket_keys(keys_of({"a", "b"}), kNow));
  CHECK(all.size() == 6);
  std::set<std::string> names;
  for (const crypto::TicketKey& key : all) {
    names.insert(key.name);
    CHECK(key.name.size() == crypto::kTicketNameBytes);
    CHECK(key.cipher.size() == crypto::kTicketKeyBytes);
    CHECK(key.mac.size() == crypto::kTicketKeyBytes);
    CHECK(key.cipher != key.mac);
  }
  CHECK(names.size() == 6);
  CHECK_FALSE(opens(all, ticket_keys(keys_of({"c"}), kNow).front()));
}

TEST_CASE("a ticket is good for its time, then sealed with another key") {
  const auto keys = keys_of({"a"});
  const crypto::TicketKey sealed = ticket_keys(keys, kNow).front();
  CHECK(ticket_keys(keys, later(kTicketPeriod)).front() != sealed);
  CHECK(opens(ticket_keys(keys, later(2h)), sealed));
  CHECK(opens(ticket_keys(keys, later(kTicketPeriod)), sealed));
  CHECK(opens(ticket_keys(keys, later(-kTicketPeriod)), sealed));  // a clock that goes after
  CHECK_FALSE(opens(ticket_keys(keys, later(2 * kTicketPeriod)), sealed));
}

TEST_CASE("a router that has another key, too, goes on with what the others sealed") {
  const crypto::TicketKey sealed = ticket_keys(keys_of({"a"}), kNow).front();
  CHECK(opens(ticket_keys(keys_of({"a", "z"}), kNow), sealed));
  CHECK(opens(ticket_keys(keys_of({"0", "a"}), kNow), sealed));
}

TEST_CASE("without keys there are none") {
  CHECK(ticket_keys(keys_of({}), kNow).empty());
}

}  // namespace
}  // namespace perigee::router
