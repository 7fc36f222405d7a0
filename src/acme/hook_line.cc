#include "acme/hook_line.h"

#include <vector>

#include "acme/limits.h"
#include "base/text.h"

namespace perigee::acme {
namespace {

Result<HookCall::Method> method_of(std::string_view word) {
  if (word == "begin") return HookCall::Method::begin;
  if (word == "done") return HookCall::Method::done;
  if (word == "failed") return HookCall::Method::failed;
  return fail(Code::data_loss, "the ACME client's hook: no method '{}'", word);
}

// base64url (RFC 8555, section 8.1); an http-01 answer is two of them, with a dot between.
bool is_word(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  return !text.empty() && text.size() <= kMaxWord &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace

Result<std::optional<HookCall>> parse_hook_line(std::string_view line) {
  const std::vector<std::string_view> words = split(line, ' ');
  if (words.front() != kHookWord) return std::nullopt;
  if (words.size() != 6) return fail(Code::data_loss, "the ACME client's hook: not six words");
  HookCall call;
  TRY(call.method, method_of(words[1]));
  const auto type = model::parse_challenge_type(words[2]);
  if (!type) return call;
  if (!is_word(words[3]) || !is_word(words[4]) || !is_word(words[5])) {
    return fail(Code::data_loss, "the ACME client's hook: words that can't be a challenge's");
  }
  call.challenge = model::RouteChallenge{.host = std::string(words[3]),
                                         .type = *type,
                                         .token = std::string(words[4]),
                                         .answer = std::string(words[5])};
  return call;
}

}  // namespace perigee::acme
