#include "lab/wan_client.h"

#include <algorithm>
#include <array>

#include "async/combine.h"
#include "lab/limits.h"

namespace perigee::lab {
namespace {

async::Task<Result<std::string>> read_line(sys::Stream& stream) {
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() < kMaxControlAnswer) {
    CO_TRY(const std::size_t n, co_await stream.read(buffer));
    if (n == 0) co_return fail(Code::end_of_stream, "the emulator closed the connection");
    text.append(buffer.data(), n);
    if (text.back() == '\n') co_return text;
  }
  co_return fail(Code::resource_exhausted, "the emulator's answer is too long");
}

Code code_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    if (info(static_cast<Code>(i)).name == name) return static_cast<Code>(i);
  }
  return Code::internal;
}

async::Task<Result<json::Value>> exchange(sys::Stream& stream, std::string line) {
  CO_TRY_VOID(co_await stream.write(line));
  CO_TRY(const std::string text, co_await read_line(stream));
  CO_TRY(json::Value answer, json::parse(text));
  CO_TRY(const bool ok, answer.optional_bool("ok", false));
  if (ok) co_return answer;
  CO_TRY(const std::string code, answer.optional_string("code"));
  CO_TRY(const std::string words, answer.optional_string("error", "the emulator refused"));
  co_return fail(code_named(code), "{}", words);
}

}  // namespace

async::Task<Result<json::Value>> ask_emulator(sys::Host& host, const Plan& plan,
                                              WanRequest request) {
  const Deadline deadline = host.loop.deadline_in(kControlTimeout);
  CO_TRY(const sys::Address socket, sys::Address::unix_path(plan.wan_socket()));
  const auto stream = co_await host.network.connect(socket, deadline);
  if (!stream) {
    co_return fail(Code::unavailable, "the lab's network does not run ({}): perigee lab up",
                   stream.error().context);
  }
  co_return co_await async::with_deadline(
      host.loop, deadline, exchange(**stream, encode(request) + "\n"), "the emulator");
}

}  // namespace perigee::lab
