#include "store/etcd_codec.h"

#include <limits>

#include "base/text.h"
#include "crypto/hash.h"

namespace perigee::store::etcd {
namespace {

json::Value bytes(std::string_view text) {
  return {crypto::base64_encode(text)};
}

json::Value number(Revision revision) {
  return {std::to_string(revision)};
}

json::Value range_of(const RangeQuery& query) {
  json::Value out = json::object({{"key", bytes(query.key)}});
  if (!query.end.empty()) out.set("range_end", bytes(query.end));
  if (query.limit != 0) out.set("limit", number(query.limit));
  if (query.at != 0) out.set("revision", number(query.at));
  if (query.modified_at_most != 0) out.set("max_mod_revision", number(query.modified_at_most));
  return out;
}

json::Value comparison(const Transaction::Expect& expect) {
  return json::object({{"key", bytes(expect.key)},
                       {"target", "MOD"},
                       {"result", "EQUAL"},
                       {"mod_revision", number(expect.revision)}});
}

json::Value operation(const Transaction::Change& change) {
  json::Value operand = json::object({{"key", bytes(change.key)}});
  if (change.value) operand.set("value", bytes(*change.value));
  return json::object({{change.value ? "request_put" : "request_delete_range", operand}});
}

Result<RangeAnswer> range_from(const json::Value& document) {
  RangeAnswer answer;
  TRY(answer.revision, parse_header(document));
  TRY(answer.more, document.optional_bool("more", false));
  if (const json::Value* entries = document.find("kvs")) {
    for (const json::Value& entry : entries->items()) {
      TRY(KeyValue read, parse_key_value(entry));
      answer.entries.push_back(std::move(read));
    }
  }
  return answer;
}

Result<std::optional<KeyValue>> read_from(const json::Value& response) {
  const json::Value* range = response.find("response_range");
  if (range == nullptr) return fail(Code::data_loss, "etcd: an answer without response_range");
  TRY(RangeAnswer answer, range_from(*range));
  if (answer.entries.empty()) return std::nullopt;
  return std::move(answer.entries.front());
}

}  // namespace

std::string encode(const RangeQuery& query) {
  return range_of(query).dump();
}

std::string encode(const TxnRequest& request) {
  json::Array compare;
  json::Array success;
  json::Array failure;
  for (const auto& expect : request.expects) compare.push_back(comparison(expect));
  for (const auto& change : request.changes) success.push_back(operation(change));
  for (const std::string& key : request.reads)
    failure.push_back(json::object({{"request_range", range_of({.key = key})}}));
  return json::object({{"compare", std::move(compare)},
                       {"success", std::move(success)},
                       {"failure", std::move(failure)}})
      .dump();
}

std::string encode_compaction(Revision revision) {
  return json::object({{"revision", number(revision)}}).dump();
}

std::string encode_authentication(std::string_view user, std::string_view password) {
  return json::object({{"name", user}, {"password", password}}).dump();
}

// `fragment`: changes too large for one message come in several, marked so. `progress_notify`: a
// quiet watch is told from time to time how far etcd has come.
std::string encode_watch(std::string_view key, std::string_view end, Revision from) {
  const json::Value create = json::object({{"key", bytes(key)},
                                           {"range_end", bytes(end)},
                                           {"start_revision", number(from)},
                                           {"progress_notify", true},
                                           {"fragment", true}});
  return json::object({{"create_request", create}}).dump();
}

Result<RangeAnswer> parse_range(std::string_view text) {
  TRY_AS(const json::Value document, json::parse(text), "etcd's answer");
  return range_from(document);
}

Result<TxnAnswer> parse_txn(std::string_view text) {
  TRY_AS(const json::Value document, json::parse(text), "etcd's answer");
  TxnAnswer answer;
  TRY(answer.revision, parse_header(document));
  TRY(answer.succeeded, document.optional_bool("succeeded", false));
  const json::Value* responses = document.find("responses");
  if (answer.succeeded || responses == nullptr) return answer;
  for (const json::Value& response : responses->items()) {
    TRY(auto read, read_from(response));
    answer.reads.push_back(std::move(read));
  }
  return answer;
}

Result<std::string> parse_token(std::string_view text) {
  TRY_AS(const json::Value document, json::parse(text), "etcd's answer");
  TRY(std::string token, document.require_string("token"));
  // It becomes a header field.
  for (const char c : token) {
    if (c < '!' || c > '~') return fail(Code::data_loss, "etcd: a token that is no token");
  }
  return token;
}

GatewayError parse_error(std::string_view text) {
  GatewayError error;
  constexpr std::size_t kShown = 200;
  error.message = std::string(trim(text.substr(0, kShown)));
  const auto document = json::parse(text);
  if (!document || !document->is_object()) return error;
  if (const auto code = document->optional_int("code", 2); code && *code >= 0 && *code <= 16)
    error.code = static_cast<int>(*code);
  if (auto message = document->optional_string("message"); message && !message->empty())
    error.message = *std::move(message);
  return error;
}

Result<Revision> parse_int64(const json::Value& object, std::string_view name) {
  const json::Value* member = object.find(name);
  if (member == nullptr || member->is_null()) return 0;
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const auto parsed =
      member->string() == nullptr ? std::nullopt : parse_uint(*member->string(), kMax);
  if (!parsed) return fail(Code::data_loss, "etcd: {}: expected a number in a string", name);
  return static_cast<Revision>(*parsed);
}

Result<std::string> parse_bytes(const json::Value& object, std::string_view name) {
  TRY(const std::string text, object.optional_string(name));
  TRY_AS(std::string decoded, crypto::base64_decode(text), fmt::format("etcd: {}", name));
  return decoded;
}

Result<KeyValue> parse_key_value(const json::Value& value) {
  KeyValue out;
  TRY(out.key, parse_bytes(value, "key"));
  TRY(out.value, parse_bytes(value, "value"));
  TRY(out.created, parse_int64(value, "create_revision"));
  TRY(out.modified, parse_int64(value, "mod_revision"));
  return out;
}

Result<Revision> parse_header(const json::Value& answer) {
  const json::Value* header = answer.find("header");
  if (header == nullptr) return fail(Code::data_loss, "etcd: an answer without header");
  return parse_int64(*header, "revision");
}

}  // namespace perigee::store::etcd
