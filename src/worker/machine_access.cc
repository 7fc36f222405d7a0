#include "worker/machine_access.h"

#include "exec/relay.h"
#include "exec/types.h"
#include "http/upgrade.h"
#include "json/json.h"
#include "vm/spec.h"
#include "worker/limits.h"
#include "worker/worker.h"

namespace perigee::worker {
namespace {

async::Task<Result<int>> signal_in(http::Request& request) {
  CO_TRY(const std::string text, co_await http::read_all(request.body, kMaxSignalBody));
  CO_TRY(const json::Value body, json::parse(text));
  CO_TRY(const std::int64_t number, body.require_int("signal"));
  if (number < 1 || number > kMaxSignal) {
    co_return fail(Code::invalid_argument, "signal: from 1 to {}", kMaxSignal);
  }
  co_return static_cast<int>(number);
}

async::Task<Result<void>> send_signal(Worker& worker, MachineId id, http::Request& request) {
  CO_TRY(const int number, co_await signal_in(request));
  Result<void> sent = co_await worker.signal(id, number);
  if (!sent && sent.error().code == Code::not_found) {  // the machine is there, its VM is not
    co_return fail(Code::conflict, "machine {}: its app does not run", id);
  }
  co_return sent;
}

}  // namespace

http::ResponseHead json_head(int status) {
  http::ResponseHead head;
  head.status = status;
  head.headers.set("Content-Type", "application/json");
  return head;
}

async::Task<void> send_error(http::ResponseWriter& response, Error error) {
  const CodeInfo& code = info(error.code);
  const json::Value body = json::object({{"error", error.context}, {"status", code.name}});
  (void)co_await response.send(json_head(code.http_status), body.dump() + "\n");
}

async::Task<void> serve_exec(sys::Host& host, Worker& worker, MachineId id, http::Request& request,
                             http::ResponseWriter& response) {
  if (!http::asks_for_upgrade(request.head, exec::kProtocol)) {
    (void)co_await response.send(json_head(426), "{\"error\":\"exec: an Upgrade is missing\"}\n");
    co_return;
  }
  const auto session = co_await worker.exec(std::move(id));
  if (!session) co_return co_await send_error(response, session.error());
  const auto client = co_await response.switch_protocols(std::string(exec::kProtocol));
  if (client) co_await exec::relay(host.loop, **client, **session);
}

async::Task<void> serve_signal(Worker& worker, MachineId id, http::Request& request,
                               http::ResponseWriter& response) {
  const Result<void> sent = co_await send_signal(worker, std::move(id), request);
  if (!sent) co_return co_await send_error(response, sent.error());
  (void)co_await response.send({.status = 204}, {});
}

async::Task<void> serve_processes(Worker& worker, MachineId id, http::ResponseWriter& response) {
  const auto processes = co_await worker.driver().processes(std::move(id));
  if (!processes) co_return co_await send_error(response, processes.error());
  (void)co_await response.send(json_head(200), processes->dump() + "\n");
}

async::Task<void> serve_console(sys::Host& host, const Worker& worker, MachineId id,
                                http::ResponseWriter& response) {
  std::string text;
  for (const std::string_view name : {vm::kOldConsoleLog, vm::kConsoleLog}) {
    const std::string path = fmt::format("{}/{}", worker.vm_directory_of(id), name);
    const auto part = co_await host.disk.read_file(path, vm::kMaxRecordFile);
    if (part) text += *part;  // an absent one is an empty one
  }
  http::ResponseHead head;
  head.headers.set("Content-Type", "text/plain; charset=utf-8");
  (void)co_await response.send(std::move(head), std::move(text));
}

}  // namespace perigee::worker
