#include "monitor/control_server.h"

#include <array>
#include <csignal>
#include <optional>
#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "vm/spec.h"

namespace perigee::monitor {
namespace {

constexpr std::size_t kMaxLine = 4096;
constexpr std::size_t kMaxConnections = 64;
constexpr Duration kMaxHold = 60s;

std::string status_line(const vm::VmStatus& status) {
  return json::object({{"status", vm::to_json(status)}}).dump() + "\n";
}

std::string result_line(const Result<void>& result) {
  if (result) return json::object({{"ok", true}}).dump() + "\n";
  return json::object({{"error", result.error().context}, {"code", info(result.error().code).name}})
             .dump() +
         "\n";
}

}  // namespace

ControlServer::ControlServer(sys::Host& host, ControlTarget& target)
    : host_(host),
      target_(target),
      acceptor_(host.loop, 1),
      connections_(host.loop, kMaxConnections) {}

Result<void> ControlServer::listen(const std::string& path) {
  TRY(const sys::Address address, sys::Address::unix_path(path));
  TRY(listener_, host_.network.listen(address));
  acceptor_.spawn(accept_all());
  return {};
}

async::Task<void> ControlServer::accept_all() {
  while (true) {
    auto stream = co_await listener_->accept();
    if (!stream) {
      log_warning("monitor", "control socket: {}", stream.error().context);
      co_await host_.loop.sleep(100ms);
      continue;
    }
    connections_.spawn(serve(std::move(*stream)));  // full: closed at once
  }
}

async::Task<void> ControlServer::serve(std::unique_ptr<sys::Stream> stream) {
  std::string pending;
  std::array<char, kMaxLine> buffer;
  while (pending.size() < kMaxLine) {
    const auto end = pending.find('\n');
    if (end != std::string::npos) {
      std::string line = pending.substr(0, end);
      pending.erase(0, end + 1);
      if (!co_await answer(*stream, std::move(line), pending)) co_return;
      continue;
    }
    const auto n = co_await stream->read(buffer);
    if (!n || *n == 0) co_return;
    pending.append(buffer.data(), *n);
  }
}

// `rest`: what the client has sent behind the line.
async::Task<Result<void>> ControlServer::answer(sys::Stream& stream, std::string line,
                                                std::string& rest) {
  const auto request = json::parse(line);
  if (!request) co_return co_await stream.write(result_line(fail(request.error())));
  const auto command = request->require_string("command");
  if (!command) co_return co_await stream.write(result_line(fail(command.error())));
  if (*command == "status") co_return co_await stream.write(status_line(target_.status()));
  if (*command == "suspend") {
    co_return co_await stream.write(result_line(co_await target_.suspend_vm()));
  }
  if (*command == "inquire") co_return co_await report(stream, *request);
  if (*command == "hold") co_return co_await hold(stream);
  if (*command == "subscribe") co_return co_await report_changes(stream);
  if (*command == "exec") co_return co_await exec(stream, std::exchange(rest, {}));
  co_return co_await stream.write(result_line(act(*request, *command)));
}

async::Task<Result<void>> ControlServer::exec(sys::Stream& stream, std::string first_bytes) {
  const Result<void> may = target_.may_exec();
  CO_TRY_VOID(co_await stream.write(result_line(may)));
  if (!may) co_return Result<void>();
  co_await target_.exec(stream, std::move(first_bytes));
  co_return fail(Code::cancelled, "the session has ended");  // closes the connection
}

Result<void> ControlServer::act(const json::Value& request, const std::string& command) {
  if (command == "kill") return target_.kill_vm();
  if (command != "signal") return fail(Code::unsupported, "no such command: {}", command);
  TRY(const std::int64_t number, request.require_int("number"));
  if (number < 1 || number >= NSIG) {
    return fail(Code::invalid_argument, "number: {} is not a signal", number);
  }
  return target_.signal_app(static_cast<int>(number));
}

namespace {

// The next bytes, or the end of the stream.
async::Task<bool> hear(sys::Stream& stream) {
  std::array<char, kMaxLine> buffer;
  const auto n = co_await stream.read(buffer);
  co_return n.has_value() && *n > 0;
}

}  // namespace

// Until the client says so, is gone, or the time is up.
async::Task<Result<void>> ControlServer::hold(sys::Stream& stream) {
  const Result<void> held = co_await target_.hold_vm();
  if (!held) co_return co_await stream.write(result_line(held));
  const Result<void> told = co_await stream.write(result_line(held));
  std::optional<bool> asked;
  if (told) asked = co_await async::until(host_.loop, host_.loop.now() + kMaxHold, hear(stream));
  const Result<void> released = co_await target_.release_vm();
  if (asked == true) co_return co_await stream.write(result_line(released));
  co_return fail(Code::deadline_exceeded, "held for too long, or by nobody");
}

async::Task<Result<void>> ControlServer::report_changes(sys::Stream& stream) {
  vm::VmStatus told = target_.status();
  CO_TRY_VOID(co_await stream.write(status_line(told)));
  while (told.state != vm::VmState::exited) {
    while (told == target_.status()) co_await target_.changed().wait();
    told = target_.status();
    CO_TRY_VOID(co_await stream.write(status_line(told)));
  }
  co_return fail(Code::cancelled, "the VM has exited");  // closes the connection
}

async::Task<Result<void>> ControlServer::report(sys::Stream& stream, json::Value request) {
  const auto topic = request.require_string("topic");
  if (!topic) co_return co_await stream.write(result_line(fail(topic.error())));
  const auto answer = co_await target_.inquire(*topic);
  if (!answer) co_return co_await stream.write(result_line(fail(answer.error())));
  const std::string line = json::object({{*topic, *answer}}).dump() + "\n";
  co_return co_await stream.write(line);
}

async::Task<Result<void>> ControlServer::drained() {
  co_await connections_.drained();
  co_return Result<void>();
}

async::Task<void> ControlServer::finish(Deadline deadline) {
  acceptor_.cancel_all();
  listener_.reset();
  [[maybe_unused]] const auto done =
      co_await async::with_deadline(host_.loop, deadline, drained(), "last words");
}

}  // namespace perigee::monitor
