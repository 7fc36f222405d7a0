#include "control/exec_call.h"

#include <array>
#include <variant>

#include "async/combine.h"
#include "async/task_group.h"
#include "control/limits.h"
#include "exec/limits.h"
#include "exec/stream.h"
#include "exec/words.h"

namespace perigee::control {
namespace {

Result<std::vector<std::string>> command_in(const json::Value& body) {
  TRY(std::vector<std::string> command, body.optional_strings("command"));
  TRY(const std::string text, body.optional_string("cmd"));
  if (!command.empty() && !text.empty())
    return fail(Code::invalid_argument, "command, cmd: give one of them");
  if (command.empty()) {
    TRY_AS(command, exec::split_words(text), "cmd");
  }
  if (command.empty()) return fail(Code::invalid_argument, "command: missing");
  if (command.size() > exec::kMaxWords)
    return fail(Code::invalid_argument, "command: at most {} words", exec::kMaxWords);
  return command;
}

// What goes wrong here is heard by whoever reads the answers.
async::Task<void> feed(sys::Stream& stream, std::string bytes) {
  [[maybe_unused]] const auto written = co_await stream.write(bytes);
}

std::string conversation(const ExecCall& call) {
  std::string bytes = encode(call.start);
  for (std::string_view rest = call.input; !rest.empty();) {
    const std::string_view chunk = rest.substr(0, exec::kMaxChunk);
    bytes += encode(exec::Input{std::string(chunk)});
    rest.remove_prefix(chunk.size());
  }
  return bytes + encode(exec::EndInput{});
}

void collect(ExecResult& result, const exec::Output& output) {
  std::string& into = output.channel == exec::Channel::err ? result.err : result.out;
  const std::size_t room = kMaxExecOutput - into.size();
  into.append(output.bytes, 0, room);
  result.truncated = result.truncated || output.bytes.size() > room;
}

async::Task<Result<ExecResult>> collect_all(sys::Stream& stream) {
  ExecResult result;
  exec::ServerDecoder decoder;
  std::array<char, exec::kMaxChunk> buffer{};
  for (;;) {
    CO_TRY(const auto message, decoder.next());
    if (!message) {
      const auto n = co_await stream.read(buffer);
      if (!n || *n == 0)
        co_return fail(Code::unavailable, "the session was cut; see the machine's state");
      decoder.feed({buffer.data(), *n});
    } else if (const auto* const output = std::get_if<exec::Output>(&*message)) {
      collect(result, *output);
    } else if (const auto* const failed = std::get_if<exec::Failed>(&*message)) {
      co_return fail(failed->code, "{}", failed->sentence);
    } else if (const auto* const exited = std::get_if<exec::Exited>(&*message)) {
      result.exited = *exited;
      co_return result;
    }
  }
}

}  // namespace

Result<ExecCall> exec_call_from(const json::Value& body) {
  ExecCall call;
  TRY(call.start.command, command_in(body));
  TRY(call.start.user, body.optional_string("user"));
  TRY(call.input, body.optional_string("stdin"));
  TRY(const std::int64_t seconds, body.optional_int("timeout", kExecTimeout / 1s));
  if (seconds < 1 || seconds > kMaxExecTimeout / 1s)
    return fail(Code::invalid_argument, "timeout: from 1 to {} seconds", kMaxExecTimeout / 1s);
  call.timeout = seconds * Duration(1s);
  return call;
}

json::Value to_json(const ExecResult& result) {
  json::Value out = json::object({{"exit_code", static_cast<std::int64_t>(result.exited.exit_code)},
                                  {"exit_signal", static_cast<std::int64_t>(result.exited.signal)},
                                  {"stdout", result.out},
                                  {"stderr", result.err}});
  if (result.truncated) out.set("truncated", true);
  return out;
}

async::Task<Result<ExecResult>> run_exec_call(sys::Host& host, sys::Stream& stream, ExecCall call) {
  async::TaskGroup writer(host.loop, 1);
  writer.spawn(feed(stream, conversation(call)));
  auto result = co_await async::with_deadline(host.loop, host.loop.deadline_in(call.timeout),
                                              collect_all(stream), call.start.command[0]);
  if (result || result.error().code != Code::deadline_exceeded) co_return result;
  co_return fail(Code::deadline_exceeded,
                 "{}: still running after {} s, so it was killed; give it a longer timeout",
                 call.start.command[0], call.timeout / 1s);
}

}  // namespace perigee::control
