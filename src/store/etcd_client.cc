#include "store/etcd_client.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "crypto/tls.h"

namespace perigee::store::etcd {
namespace {

using Effect = CallFailure::Effect;

// gRPC's status codes, as far as they matter here.
enum Grpc : int {
  kUnknown = 2,
  kInvalidArgument = 3,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kOutOfRange = 11,
  kUnauthenticated = 16,
};

bool says(const GatewayError& error, std::string_view words) {
  return error.message.find(words) != std::string::npos;
}

CallFailure refused(Code code, const GatewayError& error, std::string_view next_step = {}) {
  std::string words = "etcd: " + error.message;
  if (!next_step.empty()) words += fmt::format(" ({})", next_step);
  return {Effect::refused, Error::make(code, std::move(words))};
}

CallFailure refused_argument(const GatewayError& error) {
  if (says(error, "too many operations"))
    return refused(Code::resource_exhausted, error, "start etcd with --max-txn-ops=4200");
  if (says(error, "request is too large") || says(error, "larger than max"))
    return refused(Code::resource_exhausted, error, "etcd's --max-request-bytes bounds a change");
  if (says(error, "user name is empty"))
    return refused(Code::unauthenticated, error, "set user and password_file of [store]");
  if (says(error, "authentication failed"))
    return refused(Code::unauthenticated, error, "check user and password_file of [store]");
  return refused(Code::internal, error);
}

struct Endpoint {
  sys::Address address;
  bool tls = false;
};

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kTls = "https://";
  const bool tls = text.starts_with(kTls);
  if (tls || text.starts_with(kPlain)) {
    const auto address = sys::Address::parse(text.substr(tls ? kTls.size() : kPlain.size()));
    if (address && !address->is_unix()) return Endpoint{*address, tls};
  }
  return fail(Code::invalid_argument,
              "etcd endpoint \"{}\": expected http:// or https://, an IP address and a port, such "
              "as https://10.0.0.1:2379",
              text);
}

// The members' addresses; all of them with TLS or none.
Result<std::vector<Endpoint>> parse_endpoints(const std::vector<std::string>& texts) {
  if (texts.empty() || texts.size() > kMaxEtcdEndpoints)
    return fail(Code::invalid_argument, "etcd: 1 to {} endpoints are needed, not {}",
                kMaxEtcdEndpoints, texts.size());
  std::vector<Endpoint> out;
  for (const std::string& text : texts) {
    TRY(Endpoint endpoint, parse_endpoint(text));
    if (!out.empty() && out.front().tls != endpoint.tls)
      return fail(Code::invalid_argument, "etcd endpoints: either all https:// or none");
    out.push_back(std::move(endpoint));
  }
  return out;
}

async::Task<Result<std::string>> read_body(std::unique_ptr<http::Response> response) {
  co_return co_await http::read_all(response->body(), kMaxEtcdAnswer);
}

}  // namespace

Duration next_patience(Duration patience) {
  return std::min(patience * 5 / 4, kEtcdLongestAttempt);
}

CallFailure failure_from(const GatewayError& error) {
  switch (error.code) {
    case kInvalidArgument:
      // etcd's users have changed since the token was made.
      if (says(error, "revision of auth store is old")) break;
      return refused_argument(error);
    case kPermissionDenied:
      return refused(Code::permission_denied, error,
                     "the user of [store] needs a role that may read and write the prefix");
    case kResourceExhausted:
      if (says(error, "larger than max")) return refused_argument(error);
      if (says(error, "too many requests")) break;
      return refused(Code::resource_exhausted, error,
                     "raise etcd's --quota-backend-bytes, or defragment it and disarm its alarm");
    case kFailedPrecondition:
      return refused(Code::invalid_argument, error, "check user and password_file of [store]");
    case kOutOfRange:
      return refused(Code::data_loss, error);
    case kUnauthenticated:
      break;
    default:
      return {Effect::uncertain, Error::make(Code::unavailable, "etcd: " + error.message)};
  }
  return {Effect::not_done, Error::make(Code::unavailable, "etcd: " + error.message)};
}

Result<std::unique_ptr<EtcdClient>> EtcdClient::open(sys::Host& host, EtcdOptions options) {
  TRY(const std::vector<Endpoint> endpoints, parse_endpoints(options.endpoints));
  std::shared_ptr<crypto::TlsClient> tls;
  if (endpoints.front().tls) {
    TRY_AS(tls, crypto::TlsClient::create(options.ca_pem), "etcd");
    if (!options.identity.certificate_pem.empty())
      TRY_VOID_AS(tls->identify_as(options.identity), "etcd: the client's certificate");
  }
  std::vector<sys::Address> members;
  for (const Endpoint& endpoint : endpoints) members.push_back(endpoint.address);
  return std::unique_ptr<EtcdClient>(
      new EtcdClient(host, std::move(options), std::move(members), std::move(tls)));
}

EtcdClient::EtcdClient(sys::Host& host, EtcdOptions options, std::vector<sys::Address> members,
                       std::shared_ptr<crypto::TlsClient> tls)
    : host_(host),
      options_(std::move(options)),
      members_(std::move(members)),
      http_(host, {.connect_timeout = kEtcdAttempt}, std::move(tls)),
      authenticating_(host.loop, 1) {}

async::Task<EtcdClient::Answer> EtcdClient::post(std::size_t member, std::string path,
                                                 std::string body, std::string token,
                                                 Deadline deadline) {
  http::RequestHead head{.method = "POST", .target = std::move(path)};
  head.headers.add("Content-Type", "application/json");
  if (!token.empty()) head.headers.add("Authorization", token);
  auto response =
      co_await http_.request(members_[member], std::move(head), std::move(body), deadline);
  if (!response)
    co_return std::unexpected(CallFailure{Effect::uncertain, std::move(response).error()});
  const int status = (*response)->head.status;
  auto text = co_await async::with_deadline(host_.loop, deadline, read_body(*std::move(response)),
                                            name(member));
  if (!text) co_return std::unexpected(CallFailure{Effect::uncertain, std::move(text).error()});
  if (status != 200) co_return std::unexpected(failure_from(parse_error(*text)));
  co_return *std::move(text);
}

async::Task<EtcdClient::Answer> EtcdClient::token(std::size_t member, Deadline deadline) {
  if (options_.user.empty()) co_return std::string();
  const auto permit = co_await authenticating_.acquire();
  if (!token_.empty()) co_return token_;
  auto answer =
      co_await post(member, "/v3/auth/authenticate",
                    encode_authentication(options_.user, options_.password), "", deadline);
  if (!answer) {
    // Whatever became of it, what it was wanted for has not begun.
    if (answer.error().effect == Effect::uncertain) answer.error().effect = Effect::not_done;
    co_return std::unexpected(std::move(answer).error());
  }
  auto parsed = parse_token(*answer);
  if (!parsed) co_return std::unexpected(CallFailure{Effect::not_done, std::move(parsed).error()});
  token_ = *parsed;
  co_return token_;
}

async::Task<EtcdClient::Answer> EtcdClient::call(std::size_t member, std::string path,
                                                 std::string body, Deadline deadline) {
  auto shown = co_await token(member, deadline);
  if (!shown) co_return std::unexpected(std::move(shown).error());
  auto answer = co_await post(member, std::move(path), std::move(body), *shown, deadline);
  // A token that a member does not know is not asked about twice.
  if (!answer && answer.error().effect == Effect::not_done && token_ == *shown) token_.clear();
  co_return answer;
}

async::Task<EtcdClient::Answer> EtcdClient::attempt(std::string path, std::string body,
                                                    Duration patience) {
  const std::size_t member = member_;
  auto answer =
      co_await call(member, std::move(path), std::move(body), host_.loop.deadline_in(patience));
  if (answer) {
    if (failing_) log_info("store", "etcd answers again, at {}", name(member));
    failing_ = false;
  } else if (answer.error().effect != Effect::refused) {
    note_failure(member, answer.error().error);
    leave(member);
  }
  co_return answer;
}

async::Task<Result<std::string>> EtcdClient::read(std::string path, std::string body) {
  const MonotonicTime end = host_.loop.now() + options_.patience;
  Duration patience = kEtcdAttempt;
  for (;;) {
    auto answer = co_await attempt(path, body, patience);
    if (answer) co_return *std::move(answer);
    CallFailure& failure = answer.error();
    if (failure.effect == Effect::refused || host_.loop.now() >= end)
      co_return fail(std::move(failure.error).with("store"));
    patience = next_patience(patience);
    co_await host_.loop.sleep(kEtcdRetryPause);
  }
}

async::Task<Result<EtcdClient::Watching>> EtcdClient::watch(std::string body) {
  const std::size_t member = member_;
  const Deadline deadline = host_.loop.deadline_in(kEtcdAttempt);
  auto shown = co_await token(member, deadline);
  if (!shown) {
    leave(member);
    co_return fail(std::move(shown).error().error);
  }
  http::RequestHead head{.method = "POST", .target = "/v3/watch"};
  head.headers.add("Content-Type", "application/json");
  if (!shown->empty()) head.headers.add("Authorization", *shown);
  auto response =
      co_await http_.request(members_[member], std::move(head), std::move(body), deadline);
  if (!response) {
    leave(member);
    co_return fail(std::move(response).error());
  }
  co_return Watching{*std::move(response), member};
}

async::Task<bool> EtcdClient::in_step(std::size_t member, std::string body) {
  const auto answer =
      co_await call(member, "/v3/kv/range", std::move(body), host_.loop.deadline_in(kEtcdAttempt));
  co_return answer.has_value();
}

void EtcdClient::leave(std::size_t member) {
  http_.forget(members_[member]);
  if (member == member_) member_ = (member_ + 1) % members_.size();
}

void EtcdClient::note_failure(std::size_t member, const Error& error) {
  if (failing_) return;
  failing_ = true;
  log_warning("store", "etcd at {}: {}; trying the next member", name(member), error.context);
}

}  // namespace perigee::store::etcd
