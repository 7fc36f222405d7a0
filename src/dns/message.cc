#include "dns/message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dns/limits.h"

namespace perigee::dns {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kIn = 1;
constexpr std::uint16_t kOpt = 41;
constexpr std::uint16_t kPointerToQuestion = 0xc000 | kHeader;
// Flags of the header.
constexpr std::uint16_t kResponse = 0x8000;
constexpr std::uint16_t kOpcode = 0x7800;
constexpr std::uint16_t kAuthoritative = 0x0400;
constexpr std::uint16_t kTruncated = 0x0200;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kRecursionAvailable = 0x0080;

std::uint16_t word_at(std::string_view bytes, std::size_t at) {
  const auto high = static_cast<unsigned char>(bytes[at]);
  const auto low = static_cast<unsigned char>(bytes[at + 1]);
  return static_cast<std::uint16_t>(high << 8 | low);
}

void put_word(std::string& out, unsigned value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}

// Takes bytes from the front of a message.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  Result<std::string_view> take(std::size_t count) {
    if (rest_.size() < count) return fail(Code::invalid_argument, "DNS: a message is cut off");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  Result<std::uint16_t> word() {
    TRY(const std::string_view bytes, take(2));
    return word_at(bytes, 0);
  }
  // A name without pointers, as questions have it.
  Result<std::string> name() {
    std::string out;
    for (;;) {
      TRY(const std::string_view length, take(1));
      const auto size = static_cast<unsigned char>(length[0]);
      if (size == 0) return to_lower(out);
      if (size > 63) return fail(Code::invalid_argument, "DNS: a pointer in a question");
      TRY(const std::string_view label, take(size));
      if (!out.empty()) out.push_back('.');
      out += label;
      if (out.size() > kMaxName) return fail(Code::invalid_argument, "DNS: a name is too long");
    }
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

Result<void> read_question(Reader& reader, Query& query) {
  const std::string_view before = reader.rest();
  TRY(query.question.name, reader.name());
  TRY(const std::uint16_t type, reader.word());
  TRY(const std::uint16_t question_class, reader.word());
  if (question_class != kIn) return fail(Code::unsupported, "DNS: class {}", question_class);
  query.question.type = static_cast<Type>(type);
  query.asked = before.substr(0, before.size() - reader.rest().size());
  return {};
}

// The OPT record, if it is the first of the additional ones.
Result<void> read_edns(Reader& reader, Query& query) {
  TRY(const std::string name, reader.name());
  TRY(const std::uint16_t type, reader.word());
  TRY(const std::uint16_t size, reader.word());
  TRY_VOID(reader.take(4));  // extended flags
  TRY(const std::uint16_t length, reader.word());
  TRY_VOID(reader.take(length));
  if (!name.empty() || type != kOpt) return {};
  query.edns = true;
  query.udp_size = std::clamp<std::size_t>(size, kPlainAnswer, kMaxUdpAnswer);
  return {};
}

void put_header(std::string& out, const Query& query, const Answer& answer, std::size_t records,
                unsigned more_flags) {
  put_word(out, query.id);
  put_word(out, kResponse | kAuthoritative | kRecursionAvailable | more_flags |
                    (query.recursion_desired ? kRecursionDesired : 0U) |
                    static_cast<unsigned>(answer.rcode));
  put_word(out, 1);
  put_word(out, static_cast<unsigned>(records));
  put_word(out, 0);
  put_word(out, query.edns ? 1 : 0);
}

std::string encode(const Record& record) {
  std::string out;
  put_word(out, kPointerToQuestion);
  put_word(out, static_cast<unsigned>(record.type));
  put_word(out, kIn);
  put_word(out, kTtl >> 16);
  put_word(out, kTtl & 0xffff);
  put_word(out, static_cast<unsigned>(record.data.size()));
  return out + record.data;
}

std::string encode_edns() {
  std::string out(1, '\0');  // the root's name
  put_word(out, kOpt);
  put_word(out, kMaxUdpAnswer);
  put_word(out, 0);
  put_word(out, 0);
  put_word(out, 0);
  return out;
}

}  // namespace

Result<Query> parse_query(std::string_view message) {
  Reader reader(message);
  TRY(const std::string_view header, reader.take(kHeader));
  Query query;
  query.id = word_at(header, 0);
  const std::uint16_t flags = word_at(header, 2);
  query.recursion_desired = (flags & kRecursionDesired) != 0;
  query.udp_size = kPlainAnswer;
  if ((flags & (kResponse | kOpcode)) != 0 || word_at(header, 4) != 1 || word_at(header, 6) != 0) {
    return fail(Code::invalid_argument, "DNS: not a query with one question");
  }
  TRY_VOID(read_question(reader, query));
  const bool additional = word_at(header, 8) == 0 && word_at(header, 10) > 0;
  if (additional) TRY_VOID(read_edns(reader, query));
  return query;
}

std::string write_answer(const Query& query, const Answer& answer, std::size_t max_size) {
  const std::string edns = query.edns ? encode_edns() : "";
  std::string records;
  std::size_t count = 0;
  for (const Record& record : answer.records) {
    const std::string encoded = encode(record);
    const std::size_t size =
        kHeader + query.asked.size() + records.size() + encoded.size() + edns.size();
    if (size > max_size) break;
    records += encoded;
    ++count;
  }
  std::string out;
  put_header(out, query, answer, count, count < answer.records.size() ? kTruncated : 0U);
  return out + query.asked + records + edns;
}

std::string refusal(std::string_view message, Rcode rcode) {
  if (message.size() < kHeader || (word_at(message, 2) & kResponse) != 0) return "";
  std::string out(message.substr(0, 2));
  put_word(out, kResponse | static_cast<unsigned>(rcode) | (word_at(message, 2) & kOpcode));
  out.resize(kHeader, '\0');
  return out;
}

Result<std::string> address_data(const std::string& address) {
  std::array<char, 16> raw{};
  if (inet_pton(AF_INET6, address.c_str(), raw.data()) != 1) {
    return fail(Code::invalid_argument, "'{}' is not an IPv6 address", address);
  }
  return std::string(raw.data(), raw.size());
}

std::string text_data(std::string_view text) {
  std::string out;
  do {
    const std::string_view part = text.substr(0, kMaxText);
    out.push_back(static_cast<char>(part.size()));
    out += part;
    text.remove_prefix(part.size());
  } while (!text.empty());
  return out;
}

}  // namespace perigee::dns
