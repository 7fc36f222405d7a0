// Any bytes, in pieces, to a server's connection: it ends within its times, what it answers are
// whole responses, as many as requests were handled and at most one refusal behind them, and no
// handler sees a request that RFC 9112 has refused.
//
// The first byte chooses what the handler does, the second how large the pieces are.
#include "http/server_connection.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "base/check.h"
#include "http/codec.h"
#include "sim/simulation.h"

namespace {

using namespace perigee;
using namespace perigee::http;

constexpr std::size_t kMostBody = 1'000'000;

class AnyHandler : public Handler {
 public:
  explicit AnyHandler(std::uint8_t choice) : choice_(choice % 4) {}
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    const RequestHead& head = request.head;
    PERIGEE_CHECK(head.minor_version == 0 || head.headers.count("host") == 1);
    PERIGEE_CHECK(head.headers.count("content-length") <= 1);
    methods.push_back(head.method);
    switch (choice_) {
      case 0:
        co_return co_await echo(request, response);
      case 1:  // does not read
        std::ignore = co_await response.send({.status = 413}, "too large");
        co_return;
      case 2:  // says nothing
        co_return;
      default:
        if (const auto text = co_await read_all(request.body, kMostBody)) {
          std::ignore = co_await response.send({.status = 200}, *text);
        }
    }
  }
  std::vector<std::string> methods;

 private:
  static async::Task<void> echo(Request& request, ResponseWriter& response) {
    if (!co_await response.start({.status = 200})) co_return;
    std::array<char, 100> buffer;
    for (;;) {
      const auto count = co_await request.body.read(buffer);
      if (!count) co_return;  // the answer is cut
      if (*count == 0) break;
      if (!co_await response.write({buffer.data(), *count})) co_return;
    }
    std::ignore = co_await response.finish(request.body.trailers());
  }
  std::uint8_t choice_;
};

struct Course {
  Course(std::uint8_t choice) : handler(choice) {}
  ~Course() { tasks.cancel_all(); }
  static async::Task<void> serve(Course& self, sys::Listener& listener) {
    auto stream = co_await listener.accept();
    ServerConnection connection(self.context, *std::move(stream), Security::plain);
    co_await connection.run();
    self.ended = true;
  }
  static async::Task<void> talk(Course& self, std::string_view bytes, std::size_t piece) {
    const auto at = *sys::Address::ip(sim::SimNetwork::address_of(1), 80);
    auto listener = self.server->host().network.listen(at);
    self.tasks.spawn(serve(self, **listener));
    auto stream = co_await self.user->host().network.connect(at, self.loop().deadline_in(10s));
    PERIGEE_CHECK(stream.has_value());
    self.tasks.spawn(read(self, **stream));
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
      if (!co_await (*stream)->write(bytes.substr(0, piece))) break;
      co_await self.loop().sleep(1ms);
    }
    co_await self.loop().sleep(600s);  // its side stays open
  }
  static async::Task<void> read(Course& self, sys::Stream& stream) {
    std::array<char, 4096> buffer;
    for (;;) {
      const auto count = co_await stream.read(buffer);
      if (!count || *count == 0) co_return;
      self.received.append(buffer.data(), *count);
    }
  }
  async::Loop& loop() { return simulation.loop(); }

  sim::Simulation simulation{1};
  sim::Node* user = &simulation.add_node("user");
  sim::Node* server = &simulation.add_node("server");
  AnyHandler handler;
  ServerContext context{server->host(), handler, {}};
  async::TaskGroup idle{simulation.loop()};
  std::string received;
  bool ended = false;
  async::TaskGroup tasks{simulation.loop()};
};

// Reads the responses off, the last of which may be cut.
void check_answers(std::string_view text, const std::vector<std::string>& methods) {
  std::size_t answers = 0;
  while (!text.empty()) {
    HeadScanner scanner;
    const auto size = scanner.scan(text);
    PERIGEE_CHECK(size.has_value());
    if (!*size) return;
    const auto head = parse_response_head(text.substr(0, **size));
    PERIGEE_CHECK(head.has_value());
    text.remove_prefix(**size);
    if (head->status < 200) continue;
    const bool handled = answers < methods.size();
    const auto framing = response_framing(*head, handled ? methods[answers] : "GET");
    PERIGEE_CHECK(framing.has_value());
    PERIGEE_CHECK(++answers <= methods.size() + 1);
    BodyDecoder body(*framing);
    while (!body.done() && !text.empty()) {
      const auto step = body.step(text);
      PERIGEE_CHECK(step.has_value());
      text.remove_prefix(step->consumed);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  Course course(data[0]);
  course.idle.spawn(course.context.idle.run());
  course.tasks.spawn(Course::talk(course, bytes, data[1] + std::size_t{1}));
  course.simulation.run_for(500s);
  PERIGEE_CHECK(course.ended);
  check_answers(course.received, course.handler.methods);
  return 0;
}
