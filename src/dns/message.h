// DNS messages as far as a small authoritative server needs them (RFC 1035; EDNS0: RFC 6891): one
// question in, one answer out. Sans-I/O.
//
//   const auto query = parse_query(datagram);
//   if (!query) return refusal(datagram, Rcode::format_error);  // empty: not even worth that
//   write_answer(*query, resolve(view, query->question), query->udp_size);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace perigee::dns {

enum class Type : std::uint16_t { a = 1, txt = 16, aaaa = 28, any = 255 };

struct Question {
  std::string name;  // lower case, without the last dot: "web.internal"
  Type type = Type::a;
  bool operator==(const Question&) const = default;
};

struct Query {
  std::uint16_t id = 0;
  bool recursion_desired = false;
  Question question;
  std::string asked;  // the question as it came, which the answer repeats
  bool edns = false;
  std::size_t udp_size = 0;  // what the asker takes by UDP, bounded by ours
  bool operator==(const Query&) const = default;
};

enum class Rcode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,  // there is no such name
  refused = 5,
};

struct Record {
  Type type = Type::a;
  std::string data;
  bool operator==(const Record&) const = default;
};

struct Answer {
  Rcode rcode = Rcode::no_error;
  std::vector<Record> records = {};  // all of the name that was asked for
  bool operator==(const Answer&) const = default;
};

// A standard query with one question of class IN.
Result<Query> parse_query(std::string_view message);
// At most `max_size` bytes: records that don't fit are left out, and the answer says so (TC).
std::string write_answer(const Query& query, const Answer& answer, std::size_t max_size);
// An answer without content to what is no query that we understand; empty for what is no query.
std::string refusal(std::string_view message, Rcode rcode);

// Data of a record: an IPv6 address; strings of at most kMaxText bytes each.
Result<std::string> address_data(const std::string& address);
std::string text_data(std::string_view text);

}  // namespace perigee::dns
