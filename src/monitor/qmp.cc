#include "monitor/qmp.h"

#include <array>

#include "async/combine.h"

namespace perigee::monitor {
namespace {

constexpr std::size_t kMaxLine = 256 * 1024;

}  // namespace

async::Task<Result<std::unique_ptr<Qmp>>> Qmp::connect(sys::Host& host, std::string_view path,
                                                       Deadline deadline) {
  CO_TRY(const sys::Address address, sys::Address::unix_path(path));
  CO_TRY(auto stream, co_await host.network.connect(address, deadline));
  std::unique_ptr<Qmp> qmp(new Qmp(std::move(stream)));
  CO_TRY_VOID(co_await async::with_deadline(host.loop, deadline, qmp->negotiate(), "QMP"));
  co_return qmp;
}

async::Task<Result<void>> Qmp::negotiate() {
  CO_TRY(const json::Value greeting, co_await read_line());
  if (greeting.find("QMP") == nullptr) {
    co_return fail(Code::internal, "QMP: no greeting: {}", greeting.dump());
  }
  CO_TRY([[maybe_unused]] const json::Value done, co_await execute("qmp_capabilities"));
  co_return Result<void>();
}

async::Task<Result<json::Value>> Qmp::read_line() {
  std::array<char, 4096> buffer;
  while (pending_.size() < kMaxLine) {
    const auto end = pending_.find('\n');
    if (end != std::string::npos) {
      const std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      co_return json::parse(line);
    }
    CO_TRY(const std::size_t n, co_await stream_->read(buffer));
    if (n == 0) co_return fail(Code::end_of_stream, "QMP: the VMM is gone");
    pending_.append(buffer.data(), n);
  }
  co_return fail(Code::internal, "QMP: a line is too long");
}

async::Task<Result<json::Value>> Qmp::execute(std::string command, json::Value arguments) {
  const std::string line =
      json::object({{"execute", command}, {"arguments", std::move(arguments)}}).dump() + "\n";
  CO_TRY_VOID(co_await stream_->write(line));
  while (true) {
    CO_TRY(const json::Value answer, co_await read_line());
    if (const json::Value* value = answer.find("return")) co_return *value;
    if (const json::Value* error = answer.find("error")) {
      CO_TRY(const std::string words, error->optional_string("desc", "no reason given"));
      co_return fail(Code::internal, "QMP {}: {}", command, words);
    }
  }
}

async::Task<Result<std::string>> Qmp::migration_status() {
  CO_TRY(const json::Value answer, co_await execute("query-migrate"));
  CO_TRY(const std::string status, answer.optional_string("status", "none"));
  if (status != "failed") co_return status;
  CO_TRY(const std::string words, answer.optional_string("error-desc", "no reason given"));
  co_return fail(Code::internal, "QEMU could not carry over the VM's state: {}", words);
}

}  // namespace perigee::monitor
