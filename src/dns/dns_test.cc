#include <doctest/doctest.h>

#include "dns/limits.h"
#include "dns/zone.h"

using namespace perigee;
using namespace perigee::dns;

namespace {

std::string name_bytes(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    out.push_back(static_cast<char>(label.size()));
    out += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return out + std::string(1, '\0');
}

// A query with id 0x1234 that desires recursion.
std::string query(std::string_view name, int type, std::string_view edns = "") {
  std::string out("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00", 11);
  out.push_back(edns.empty() ? '\0' : '\1');
  out += name_bytes(name);
  out += std::string("\0", 1) + static_cast<char>(type) + std::string("\0\1", 2);
  return out + std::string(edns);
}

// Of a client that takes 4096 bytes.
const std::string kEdns("\0\0\x29\x10\0\0\0\0\0\0\0", 11);

View view() {
  return {.app = "web",
          .hosts = {{"m1", "fra", "fd00::1"}, {"m2", "fra", "fd00::2"}, {"m3", "syd", "fd00::3"}}};
}

std::vector<std::string> asked(const std::string& name, Type type = Type::aaaa,
                               std::size_t first = 0) {
  std::vector<std::string> out;
  for (const Record& record : resolve(view(), {name, type}, first).records) {
    out.push_back(record.data.substr(record.data.size() - 1));
  }
  return out;
}

Rcode code_of(const std::string& name) {
  return resolve(view(), {name, Type::aaaa}, 0).rcode;
}

}  // namespace

TEST_CASE("a query is read, its name in lower case and as it came") {
  const auto parsed = parse_query(query("Web.INTERNAL", 28));
  REQUIRE(parsed.has_value());
  CHECK(parsed->id == 0x1234);
  CHECK(parsed->recursion_desired);
  CHECK(parsed->question == Question{"web.internal", Type::aaaa});
  CHECK(parsed->asked == name_bytes("Web.INTERNAL") + std::string("\0\x1c\0\1", 4));
  CHECK_FALSE(parsed->edns);
  CHECK(parsed->udp_size == kPlainAnswer);
  CHECK(parse_query(query("a", 1, kEdns))->udp_size == kMaxUdpAnswer);
}

TEST_CASE("what is not a query with one question is refused, and a response is not even answered") {
  const std::string good = query("web.internal", 28);
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_FALSE(parse_query(good.substr(0, length)).has_value());
  }
  std::string response = good;
  response[2] = '\x81';
  CHECK_FALSE(parse_query(response).has_value());
  CHECK(refusal(response, Rcode::format_error).empty());
  std::string two = good;
  two[5] = '\2';
  CHECK_FALSE(parse_query(two).has_value());
  CHECK(refusal(two, Rcode::format_error) == std::string("\x12\x34\x80\x01\0\0\0\0\0\0\0\0", 12));
  std::string pointer = good;
  pointer[12] = '\xc0';
  CHECK_FALSE(parse_query(pointer).has_value());
  CHECK_FALSE(parse_query(query(std::string(300, 'a'), 1)).has_value());
}

TEST_CASE("an answer is written byte by byte as RFC 1035 has it") {
  const auto parsed = parse_query(query("web.internal", 28));
  const Answer answer{.records = {{Type::aaaa, *address_data("fd00::1")}}};
  CHECK(write_answer(*parsed, answer, 512) ==
        std::string("\x12\x34\x85\x80\0\1\0\1\0\0\0\0", 12) + name_bytes("web.internal") +
            std::string("\0\x1c\0\1", 4) + std::string("\xc0\x0c\0\x1c\0\1\0\0\0\5\0\x10", 12) +
            std::string("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16));
}

TEST_CASE("an answer that is too large for UDP holds what fits, and says so") {
  const auto plain = parse_query(query("web.internal", 28));
  const auto edns = parse_query(query("web.internal", 28, kEdns));
  Answer many;
  many.records.assign(100, {Type::aaaa, *address_data("fd00::1")});
  const std::string cut = write_answer(*plain, many, plain->udp_size);
  CHECK(cut.size() <= kPlainAnswer);
  CHECK((cut[2] & 2) == 2);
  CHECK(cut[7] == 17);
  const std::string larger = write_answer(*edns, many, edns->udp_size);
  CHECK(larger.size() <= kMaxUdpAnswer);
  CHECK(larger.size() > kPlainAnswer);
  CHECK((larger[2] & 2) == 2);
  CHECK((write_answer(*plain, many, kMaxMessage)[2] & 2) == 0);
}

TEST_CASE("an app's names are its machines, by region and one by one") {
  using Found = std::vector<std::string>;
  CHECK(asked("web.internal") == Found{"\1", "\2", "\3"});
  CHECK(asked("web.internal", Type::aaaa, 1) == Found{"\2", "\3", "\1"});
  CHECK(asked("fra.web.internal") == Found{"\1", "\2"});
  CHECK(asked("m3.vm.web.internal") == Found{"\3"});
  CHECK(asked("web.internal", Type::any).size() == 3);
  CHECK(asked("web.internal", Type::a).empty());
  CHECK(code_of("web.internal") == Rcode::no_error);
  CHECK(resolve(view(), {"web.internal", Type::a}, 0).rcode ==
        Rcode::no_error);  // none of that kind
  CHECK(resolve(view(), {"_apps.internal", Type::txt}, 0).records ==
        std::vector<Record>{{Type::txt, "\3web"}});
}

TEST_CASE("there is no other name: not of another app, an unknown region or machine") {
  for (const char* name : {"db.internal", "xweb.internal", "nrt.web.internal", "m9.vm.web.internal",
                           "vm.web.internal", "m1.web.internal", "a.b.web.internal"}) {
    CAPTURE(name);
    CHECK(code_of(name) == Rcode::name_error);
  }
  CHECK(code_of("internal") == Rcode::no_error);
  CHECK(code_of("example.com") == Rcode::refused);
  CHECK(resolve({.app = "web"}, {"web.internal", Type::aaaa}, 7) == Answer{});  // none runs
}

TEST_CASE("only what ends in .internal is ours") {
  CHECK(is_internal("internal"));
  CHECK(is_internal("web.internal"));
  CHECK_FALSE(is_internal("webinternal"));
  CHECK_FALSE(is_internal("internal.example.com"));
  CHECK_FALSE(is_internal(""));
}

TEST_CASE("a long text is cut into strings") {
  const std::string data = text_data(std::string(300, 'x'));
  CHECK(data.size() == 302);
  CHECK(static_cast<unsigned char>(data[0]) == 255);
  CHECK(data[256] == 45);
  CHECK(text_data("") == std::string(1, '\0'));
}
