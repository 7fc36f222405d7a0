#include "worker/check_attempt.h"

#include <memory>
#include <utility>

#include "async/combine.h"
#include "base/text.h"
#include "crypto/tls.h"
#include "http/client.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

using crypto::TlsClient;

// The network as a check sees it: remembers whether the connection was made, and speaks TLS on it
// where the check wants that.
class CheckNetwork : public sys::Network {
 public:
  CheckNetwork(sys::Network& inner, const model::Check& check, std::string address)
      : inner_(inner), check_(check), address_(std::move(address)) {}

  async::Task<Result<std::unique_ptr<sys::Stream>>> connect(sys::Address to,
                                                            Deadline deadline) override {
    CO_TRY(auto stream, co_await inner_.connect(to, deadline));
    connected_ = true;
    if (!check_.tls) co_return std::move(stream);
    const auto verify = check_.tls_skip_verify ? TlsClient::Verify::no : TlsClient::Verify::yes;
    CO_TRY(tls_, TlsClient::create("", verify));
    const std::string& name = check_.tls_server_name;
    co_return co_await tls_->connect(std::move(stream), name.empty() ? address_ : name);
  }
  Result<std::unique_ptr<sys::Listener>> listen(const sys::Address& at) override {
    return inner_.listen(at);
  }
  Result<std::unique_ptr<sys::Datagrams>> open_datagrams(const sys::Address& at,
                                                         sys::Binding binding) override {
    return inner_.open_datagrams(at, binding);
  }
  Result<std::unique_ptr<sys::Stream>> open_pipe(const std::string& path) override {
    return inner_.open_pipe(path);
  }
  bool connected() const { return connected_; }

 private:
  sys::Network& inner_;
  const model::Check& check_;
  std::string address_;
  std::unique_ptr<TlsClient> tls_;
  bool connected_ = false;
};

http::RequestHead request_of(const model::Check& check, const std::string& authority) {
  http::RequestHead head{.method = check.method, .target = check.path};
  head.headers.set("Host", authority);
  head.headers.set("User-Agent", "perigee-check");
  head.headers.set("Connection", "close");
  for (const auto& [name, value] : check.headers) head.headers.set(name, value);
  return head;
}

async::Task<Result<std::string>> beginning_of(http::Body& body) {
  std::string text(kMaxCheckBody, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    CO_TRY(const std::size_t n, co_await body.read(std::span(text).subspan(size)));
    if (n == 0) break;
    size += n;
  }
  text.resize(size);
  co_return text;
}

async::Task<Result<CheckOutcome>> ask(sys::Host& host, model::Check check, sys::Address to,
                                      Deadline deadline) {
  http::Client client(host, {.connect_timeout = check.timeout});
  CO_TRY(const auto response,
         co_await client.request(to, request_of(check, to.str()), {}, deadline));
  const int status = response->head.status;
  const auto body = co_await beginning_of(response->body());
  co_return judge_answer(status, body ? std::string_view(*body) : std::string_view());
}

async::Task<Result<CheckOutcome>> open_connection(sys::Host& host, sys::Address to,
                                                  Deadline deadline) {
  CO_TRY([[maybe_unused]] const auto stream, co_await host.network.connect(to, deadline));
  co_return CheckOutcome{.passed = true, .output = "connected"};
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

}  // namespace

CheckOutcome judge_answer(int status, std::string_view body) {
  constexpr int kFirstSuccess = 200;
  constexpr int kFirstRedirect = 300;
  CheckOutcome outcome{.passed = status >= kFirstSuccess && status < kFirstRedirect,
                       .output = fmt::format("HTTP {} {}", status, http::reason_phrase(status))};
  const std::string_view first = trim(split(trim(body), '\n').front());
  if (!outcome.passed && !first.empty()) outcome.output += ": " + printable(first);
  return outcome;
}

async::Task<CheckAttempt> attempt_check(sys::Host& host, model::Check check, std::string address) {
  CheckAttempt attempt;
  const auto to = sys::Address::ip(address, static_cast<std::uint16_t>(check.port));
  if (!to) {
    attempt.outcome.output = to.error().context;
    co_return attempt;
  }
  CheckNetwork network(host.network, check, address);
  sys::Host through{host.loop, host.clock,     host.entropy, network,
                    host.disk, host.processes, host.pool};
  const Deadline deadline = host.loop.deadline_in(check.timeout);
  const bool tcp = check.type == model::CheckType::tcp;
  auto done = co_await async::with_deadline(
      host.loop, deadline,
      tcp ? open_connection(through, *to, deadline) : ask(through, check, *to, deadline),
      to->str());
  attempt.connected = network.connected();
  attempt.outcome = done ? *std::move(done)
                         : CheckOutcome{.passed = false, .output = std::move(done).error().context};
  co_return attempt;
}

}  // namespace perigee::worker
