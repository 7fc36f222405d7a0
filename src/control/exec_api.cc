#include "control/exec_api.h"

#include "api/endpoint.h"
#include "control/exec_call.h"
#include "control/machine_calls.h"
#include "control/process_list.h"
#include "exec/relay.h"
#include "http/upgrade.h"
#include "model/signals.h"

namespace perigee::control {

using api::Call;
using api::Reply;

void ExecApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string one = "/v1/apps/{app}/machines/{machine}";
  table.answer("POST", one + "/exec", guard, [this](Call& call) { return run(call); });
  table.stream("GET", one + "/exec", guard, [this](Call& call, http::ResponseWriter& response) {
    return open_session(call, response);
  });
  table.answer("POST", one + "/signal", guard, [this](Call& call) { return signal(call); });
  table.answer("GET", one + "/ps", guard, [this](Call& call) { return processes(call); });
  table.stream("GET", one + "/console", guard, [this](Call& call, http::ResponseWriter& response) {
    return console(call, response);
  });
}

async::Task<Result<Reply>> ExecApi::run(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::enter));
  CO_TRY(ExecCall wanted, exec_call_from(call.body));
  CO_TRY(const auto stream, co_await context_.worker.exec(at(judged.machine.value)));
  CO_TRY(const ExecResult result,
         co_await run_exec_call(context_.host, *stream, std::move(wanted)));
  co_return Reply{200, to_json(result)};
}

async::Task<Result<void>> ExecApi::open_session(Call& call, http::ResponseWriter& response) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::enter));
  if (!http::asks_for_upgrade(call.request.head, exec::kProtocol)) {
    http::ResponseHead head = api::response_head(call.request, 426, "application/json");
    head.headers.set("Upgrade", exec::kProtocol);
    const Error missing = Error::make(
        Code::invalid_argument, fmt::format("exec: this path needs Upgrade: {}", exec::kProtocol));
    co_return co_await response.send(
        std::move(head), api::error_body(missing, call.request.request_id).dump() + "\n");
  }
  CO_TRY(const auto session, co_await context_.worker.exec(at(judged.machine.value)));
  CO_TRY(sys::Stream* const client,
         co_await response.switch_protocols(std::string(exec::kProtocol)));
  co_await exec::relay(context_.host.loop, *client, *session);
  co_return Result<void>();
}

async::Task<Result<Reply>> ExecApi::signal(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::enter));
  CO_TRY(const std::string name, call.body.require_string("signal"));
  CO_TRY(const int number, model::signal_number(name));
  CO_TRY_VOID(co_await context_.worker.signal(at(judged.machine.value), number));
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> ExecApi::processes(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::enter));
  CO_TRY(const ProcessOrder order,
         process_order_from(call.query("sort_by").value_or(""), call.query("order").value_or("")));
  CO_TRY(const json::Value found, co_await context_.worker.processes(at(judged.machine.value)));
  co_return Reply{200, sorted_processes(found, order)};
}

async::Task<Result<void>> ExecApi::console(Call& call, http::ResponseWriter& response) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  CO_TRY(std::string text, co_await context_.worker.console(at(machine.value)));
  co_return co_await response.send(
      api::response_head(call.request, 200, "text/plain; charset=utf-8"), std::move(text));
}

}  // namespace perigee::control
