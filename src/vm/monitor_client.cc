#include "vm/monitor_client.h"

#include <array>

#include "async/combine.h"
#include "vm/spec.h"

namespace perigee::vm {
namespace {

constexpr Duration kConnectTimeout = 2s;
constexpr std::size_t kMaxLine = 64 * 1024;

Result<VmStatus> status_of(const json::Value& line) {
  const json::Value* status = line.find("status");
  if (status == nullptr) return fail(Code::internal, "the monitor's answer has no status");
  return status_from(*status);
}

Result<json::Value> checked(json::Value answer) {
  TRY(const std::string error, answer.optional_string("error"));
  if (error.empty()) return answer;
  TRY(const std::string code, answer.optional_string("code"));
  if (code == info(Code::not_found).name) return fail(Code::not_found, "{}", error);
  if (code == info(Code::unavailable).name) return fail(Code::unavailable, "{}", error);
  if (code == info(Code::conflict).name) return fail(Code::conflict, "{}", error);
  return fail(Code::internal, "{}", error);
}

}  // namespace

async::Task<Result<std::unique_ptr<MonitorClient>>> MonitorClient::connect(sys::Host& host,
                                                                           std::string socket) {
  CO_TRY(const sys::Address address, sys::Address::unix_path(socket));
  CO_TRY(auto stream,
         co_await host.network.connect(address, host.loop.deadline_in(kConnectTimeout)));
  co_return std::unique_ptr<MonitorClient>(new MonitorClient(host, std::move(stream)));
}

async::Task<Result<json::Value>> MonitorClient::read_line() {
  std::array<char, 4096> buffer;
  while (pending_.size() < kMaxLine) {
    const auto end = pending_.find('\n');
    if (end != std::string::npos) {
      const std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      co_return json::parse(line);
    }
    CO_TRY(const std::size_t n, co_await stream_->read(buffer));
    if (n == 0) co_return fail(Code::end_of_stream, "the monitor closed its socket");
    pending_.append(buffer.data(), n);
  }
  co_return fail(Code::internal, "the monitor's answer is too long");
}

async::Task<Result<json::Value>> MonitorClient::request(json::Value command, Duration patience) {
  const std::string line = command.dump() + "\n";
  CO_TRY_VOID(co_await stream_->write(line));
  CO_TRY(json::Value answer,
         co_await async::with_deadline(host_.loop, host_.loop.deadline_in(patience), read_line(),
                                       "the monitor"));
  co_return checked(std::move(answer));
}

async::Task<Result<void>> MonitorClient::subscribe() {
  const std::string line = json::object({{"command", "subscribe"}}).dump() + "\n";
  co_return co_await stream_->write(line);
}

async::Task<Result<VmStatus>> MonitorClient::next_status() {
  CO_TRY(const json::Value line, co_await read_line());
  co_return status_of(line);
}

async::Task<Result<VmStatus>> ask_status(sys::Host& host, std::string socket) {
  CO_TRY(const auto client, co_await MonitorClient::connect(host, std::move(socket)));
  CO_TRY(const json::Value answer, co_await client->request(json::object({{"command", "status"}})));
  co_return status_of(answer);
}

}  // namespace perigee::vm
