// What the tests of choice and care share: machines whose answers a test scripts, and clients of
// both versions of HTTP.
#pragma once

#include <functional>

#include "router/fleet_fixture.h"

namespace perigee::router {

struct Answer {
  http::ResponseHead head{};
  std::string body{};
};
inline Answer answer_with(std::vector<http::OwnField> fields, std::string body = {}) {
  Answer answer{.body = std::move(body)};
  for (const auto& [name, value] : fields) answer.head.headers.add(name, value);
  return answer;
}

// Answers as the script says, and keeps what it was asked.
class Scripted : public http::Handler {
 public:
  using Script = std::function<Answer(const http::RequestHead& head, const std::string& body)>;
  explicit Scripted(Script script) : script_(std::move(script)) {}
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    auto body = co_await http::read_all(request.body, 100'000'000);
    if (!body) co_return;
    ++requests;
    last = request.head;
    last_body = *body;
    Answer answer = script_(request.head, *body);
    std::ignore = co_await response.send(std::move(answer.head), std::move(answer.body));
  }
  std::string header(std::string_view name) const {
    const std::string_view* value = last.headers.find(name);
    return std::string(value == nullptr ? "" : *value);
  }
  int requests = 0;
  http::RequestHead last;
  std::string last_body;

 private:
  Script script_;
};

// With scripted machines; of Fixture or Fleet.
template <typename Base>
struct WithScripts : Base {
  ~WithScripts() {
    this->servers.clear();
    connections.cancel_all();
  }
  Scripted& start_script(const std::string& ip, Scripted::Script script) {
    scripts.push_back(std::make_unique<Scripted>(std::move(script)));
    this->start_app(*scripts.back(), ip);
    return *scripts.back();
  }
  // One that answers with its name.
  Scripted& start_named(const std::string& name, const std::string& ip) {
    return start_script(ip, [name](const http::RequestHead&, const std::string& body) {
      return Answer{.body = name + ":" + body};
    });
  }
  Reply send(http::RequestHead head, std::string body = {}) {
    auto reply = this->loop().run(this->ask(this->http_address, std::move(head), std::move(body)));
    REQUIRE_MESSAGE(reply.has_value(), reply.error().context);
    return *std::move(reply);
  }
  std::shared_ptr<http2::Connection> open_http2() {
    auto stream = this->loop().run(this->h().network.connect(this->http_address, this->soon()));
    REQUIRE(stream.has_value());
    const auto link =
        std::make_shared<http2::Connection>(this->loop(), *std::move(stream), http2::Role::client);
    connections.spawn(run(link));
    return link;
  }
  // As `send` over HTTP/2, on a connection of its own.
  Reply send_http2(http::RequestHead head) {
    auto reply = this->loop().run(read(*this, open_http2(), std::move(head)));
    REQUIRE_MESSAGE(reply.has_value(), reply.error().context);
    return *std::move(reply);
  }
  static async::Task<void> run(std::shared_ptr<http2::Connection> link) { co_await link->run(); }
  static async::Task<Result<Reply>> read(WithScripts& f, std::shared_ptr<http2::Connection> link,
                                         http::RequestHead head) {
    head.headers.add("host", "hello.test");
    auto response = co_await http2::forward(link, std::move(head), nullptr, f.soon());
    if (!response) co_return fail(response.error().error);
    CO_TRY(std::string text, co_await http::read_all((*response)->body(), 100'000'000));
    co_return Reply{(*response)->head.status, std::move(text), (*response)->head.headers};
  }

  std::vector<std::unique_ptr<Scripted>> scripts;
  async::TaskGroup connections{this->loop()};
};
using CareFixture = WithScripts<Fixture>;
using CareFleet = WithScripts<Fleet>;

inline http::RequestHead request_with(std::vector<http::OwnField> fields,
                                      std::string target = "/") {
  http::RequestHead head{.target = std::move(target)};
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  return head;
}

}  // namespace perigee::router
