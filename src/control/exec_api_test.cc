// Ways into a machine over the public API, with a worker that plays the machine.
#include <doctest/doctest.h>

#include <array>

#include "control/control_fixture.h"
#include "control/exec_call.h"
#include "control/limits.h"
#include "exec/limits.h"
#include "exec/stream.h"
#include "http/upgrade.h"

namespace perigee::control {
namespace {

// A process as it is scripted by its command: "cat" gives back its input, "say X" writes X to
// stderr and exits with 3, "flood" writes without end, "sleep" never ends.
class FakeMachine {
 public:
  explicit FakeMachine(async::Loop& loop) : closed(loop), never_(loop) {}
  async::Task<Result<void>> serve(api::Call& call, http::ResponseWriter& response) {
    if (refusal != 0) {
      co_return co_await response.send({.status = refusal}, R"({"error":"its app does not run"})");
    }
    CO_TRY(sys::Stream* const stream,
           co_await response.switch_protocols(std::string(exec::kProtocol)));
    (void)call;
    Result<void> done = co_await live(*stream);
    closed.set();
    co_return done;
  }
  int refusal = 0;
  exec::Start start;
  async::Event closed;

 private:
  async::Task<Result<void>> live(sys::Stream& stream) {
    exec::ClientDecoder decoder;
    std::string input;
    std::array<char, 4096> buffer{};
    for (;;) {
      CO_TRY(const auto message, decoder.next());
      if (!message) {
        CO_TRY(const std::size_t n, co_await stream.read(buffer));
        if (n == 0) co_return Result<void>();
        decoder.feed({buffer.data(), n});
      } else if (const auto* begin = std::get_if<exec::Start>(&*message)) {
        start = *begin;
      } else if (const auto* more = std::get_if<exec::Input>(&*message)) {
        input += more->bytes;
      } else if (std::holds_alternative<exec::EndInput>(*message)) {
        CO_TRY_VOID(co_await act(stream, input));
      }
    }
  }
  async::Task<Result<void>> act(sys::Stream& stream, std::string input) {
    const std::string& name = start.command[0];
    std::string answer = exec::encode(exec::Started{});
    if (name == "cat") {
      answer +=
          exec::encode(exec::Output{exec::Channel::out, input}) + exec::encode(exec::Exited{});
    } else if (name == "say") {
      answer += exec::encode(exec::Output{exec::Channel::err, start.command[1]}) +
                exec::encode(exec::Exited{3, 0});
    } else if (name == "flood") {
      const std::string chunk(exec::kMaxChunk, 'x');
      for (std::size_t size = 0; size < 2 * kMaxExecOutput; size += chunk.size())
        answer += exec::encode(exec::Output{exec::Channel::out, chunk});
      answer += exec::encode(exec::Exited{137, 9});
    } else if (name != "sleep") {
      answer = exec::encode(exec::Failed{Code::invalid_argument, "command \"x\": not found"});
    }
    co_return co_await stream.write(answer);
  }
  async::Event never_;
};

struct WithMachine : ControlFixture {
  WithMachine() {
    const std::string one = "/internal/v1/machines/{machine}";
    worker.table_.stream("GET", one + "/exec", api::open_to_all(),
                         [this](api::Call& call, http::ResponseWriter& response) {
                           return machine.serve(call, response);
                         });
    worker.table_.answer("GET", one + "/ps", api::open_to_all(),
                         [this](api::Call& call) { return list_processes(call); });
    worker.table_.answer("POST", one + "/signal", api::open_to_all(),
                         [this](api::Call& call) { return take_signal(call); });
    worker.table_.stream("GET", one + "/console", api::open_to_all(),
                         [](api::Call&, http::ResponseWriter& response) {
                           return response.send({.status = 200}, "Kernel panic\n");
                         });
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
    const Got made = call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "hello:1"}})");
    path = "/v1/apps/hello/machines/" + *made.body.find("id")->string();
  }
  async::Task<Result<api::Reply>> list_processes(api::Call&) {
    co_return api::Reply{200, *json::parse(R"([{"pid":1,"cpu":0,"command":"/init"},
        {"pid":9,"cpu":7,"command":"b"},{"pid":8,"cpu":70,"command":"a"}])")};
  }
  async::Task<Result<api::Reply>> take_signal(api::Call& call) {
    signal = call.body.optional_int("signal", 0).value_or(0);
    co_return api::Reply{204, {}};
  }
  Got run(const std::string& body) { return call("POST", path + "/exec", body); }

  FakeMachine machine{host->loop()};
  std::string path;
  std::int64_t signal = 0;
};

TEST_CASE_FIXTURE(WithMachine, "a command's output and exit code come back") {
  work();
  Got got = run(R"({"cmd": "cat -u 'a b'", "stdin": "to you", "user": "web"})");
  CHECK(got.status == 200);
  CHECK(got.text == "{\"exit_code\":0,\"exit_signal\":0,\"stdout\":\"to you\",\"stderr\":\"\"}\n");
  CHECK(machine.start.command == std::vector<std::string>{"cat", "-u", "a b"});
  CHECK(machine.start.user == "web");
  CHECK_FALSE(machine.start.tty);
  got = run(R"({"command": ["say", "oops"]})");
  CHECK(got.text == "{\"exit_code\":3,\"exit_signal\":0,\"stdout\":\"\",\"stderr\":\"oops\"}\n");
}

TEST_CASE_FIXTURE(WithMachine, "output beyond the bound is cut, and said to be") {
  work();
  const Got got = run(R"({"cmd": "flood"})");
  CHECK(got.body.find("stdout")->string()->size() == kMaxExecOutput);
  CHECK(got.body.find("truncated")->boolean() == true);
  CHECK(got.body.find("exit_signal")->integer() == 9);
}

TEST_CASE_FIXTURE(WithMachine, "a command past its time is an error, and its session is closed") {
  work();
  const Got got = run(R"({"cmd": "sleep", "timeout": 1})");
  CHECK(got.status == 408);
  CHECK(got.text.find("sleep: still running after 1 s, so it was killed") != std::string::npos);
  loop().run(machine.closed.wait());
}

TEST_CASE_FIXTURE(WithMachine, "a machine that is not started is a conflict that says what it is") {
  work([](const model::Machine&, model::MachineStatus& status) {
    status.state = model::MachineState::stopped;
    status.started_at.reset();
    status.listening = false;
  });
  for (const char* rest : {"/exec", "/signal"}) {
    const Got got = call("POST", path + rest, R"({"cmd": "cat", "signal": "SIGUSR1"})");
    CHECK(got.status == 409);
    CHECK(got.text.find("is stopped") != std::string::npos);
  }
  CHECK(call("GET", path + "/exec").status == 409);
}

TEST_CASE_FIXTURE(WithMachine, "what is asked wrongly is refused by name") {
  work();
  CHECK(run("{}").text.find("command: missing") != std::string::npos);
  CHECK(run(R"({"cmd": "echo 'open"})").status == 400);
  CHECK(run(R"({"cmd": "a", "command": ["b"]})").status == 400);
  CHECK(run(R"({"cmd": "a", "timeout": 301})").status == 400);
  CHECK(run(R"({"cmd": "x"})").text.find("command \\\"x\\\": not found") != std::string::npos);
  CHECK(call("GET", path + "/exec").status == 426);
  CHECK(call("POST", path + "/signal", R"({"signal": "SIGFOO"})").status == 400);
  CHECK(call("POST", path + "/signal", "{}").status == 400);
  machine.refusal = 409;
  CHECK(run(R"({"cmd": "cat"})").status == 409);
}

TEST_CASE_FIXTURE(WithMachine, "a machine's processes come in the order that is asked for") {
  CHECK(call("GET", path + "/ps").status == 409);  // it does not run yet
  work();
  const auto pids = [this](const std::string& query) {
    const Got got = call("GET", path + "/ps" + query);
    std::string out = got.status == 200 ? "" : got.text;
    for (const json::Value& one : got.body.items()) out += one.find("pid")->dump();
    return out;
  };
  CHECK(pids("") == "189");
  CHECK(pids("?order=desc") == "981");
  CHECK(pids("?sort_by=cpu&order=desc") == "891");
  CHECK(pids("?sort_by=command") == "189");
  CHECK(pids("?sort_by=rss") == "198");  // none has it: as they came
  CHECK(pids("?sort_by=age").find("not pid, cpu, rss") != std::string::npos);
  CHECK(pids("?order=up").find("not asc or desc") != std::string::npos);
}

TEST_CASE_FIXTURE(WithMachine, "a session is carried between client and worker") {
  work();
  http::RequestHead head = request("GET", path + "/exec");
  head.headers.set("Upgrade", exec::kProtocol);
  auto answer = loop().run(http::upgrade(h(), api_address, head, loop().deadline_in(10s)));
  REQUIRE(answer.has_value());
  REQUIRE(answer->stream != nullptr);
  const std::string words = exec::encode(exec::Start{.command = {"say", "hi"}, .tty = true}) +
                            exec::encode(exec::EndInput{});
  REQUIRE(loop().run(answer->stream->write(words)).has_value());
  exec::ServerDecoder decoder;
  std::vector<exec::ServerMessage> heard;
  std::array<char, 4096> buffer{};
  while (heard.size() < 3) {
    const auto n = loop().run(answer->stream->read(buffer));
    REQUIRE(n.value_or(0) > 0);
    decoder.feed({buffer.data(), *n});
    for (auto next = decoder.next(); next && *next; next = decoder.next()) heard.push_back(**next);
  }
  CHECK(machine.start.tty);
  CHECK(heard[1] == exec::ServerMessage(exec::Output{exec::Channel::err, "hi"}));
  CHECK(heard[2] == exec::ServerMessage(exec::Exited{3, 0}));
  answer->stream.reset();  // the client goes, and the worker hears of it
  loop().run(machine.closed.wait());
}

TEST_CASE_FIXTURE(WithMachine, "signals are passed on by number, the console as text") {
  work();
  CHECK(call("POST", path + "/signal", R"({"signal": "SIGUSR1"})").status == 200);
  CHECK(signal == 10);
  CHECK(call("GET", path + "/console").text == "Kernel panic\n");
}

}  // namespace
}  // namespace perigee::control
