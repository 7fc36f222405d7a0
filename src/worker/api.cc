#include "worker/api.h"

#include <memory>
#include <utility>

#include "async/combine.h"
#include "base/text.h"
#include "json/json.h"
#include "model/json.h"
#include "vm/output_log.h"
#include "worker/limits.h"
#include "worker/machine_access.h"
#include "worker/worker.h"

namespace perigee::worker {
namespace {

constexpr std::string_view kMachines = "/internal/v1/machines/";

std::string to_lines(const std::vector<vm::LogLine>& lines) {
  std::string text;
  for (const vm::LogLine& line : lines) {
    text += json::object({{"seq", static_cast<std::int64_t>(line.sequence)},
                          {"at", to_rfc3339(line.at)},
                          {"stream", vm::to_string(line.stream)},
                          {"message", line.message}})
                .dump();
    text += '\n';
  }
  return text;
}

Result<std::uint64_t> number(const http::RequestHead& head, std::string_view name,
                             std::uint64_t max) {
  const auto text = head.query(name);
  if (!text || text->empty()) return std::uint64_t{0};
  const auto value = parse_uint(*text, max);
  if (!value) return fail(Code::invalid_argument, "{}: not a number from 0 to {}", name, max);
  return *value;
}

}  // namespace

Result<LogQuery> log_query(const http::RequestHead& head) {
  LogQuery query;
  TRY(const std::uint64_t from, number(head, "from", UINT64_MAX));
  query.after = from == 0 ? 0 : from - 1;
  TRY(query.tail, number(head, "tail", kMaxTail));
  TRY(const std::uint64_t follow, number(head, "follow", 1));
  query.follow = follow == 1;
  return query;
}

WorkerApi::WorkerApi(sys::Host& host, Worker& worker, std::uint32_t allowed_uid)
    : host_(host), worker_(worker), allowed_uid_(allowed_uid) {}

bool WorkerApi::allowed(const http::Request& request) const {
  return request.peer_uid && (*request.peer_uid == 0 || *request.peer_uid == allowed_uid_);
}

async::Task<void> WorkerApi::handle(http::Request& request, http::ResponseWriter& response) {
  if (!allowed(request)) {
    co_await send_error(response, Error::make(Code::permission_denied, "worker.sock is root's"));
    co_return;
  }
  std::string_view path = request.head.path();
  if (path == "/internal/v1/status") {
    (void)co_await response.send(json_head(200), model::to_json(worker_.report()).dump() + "\n");
    co_return;
  }
  if (path.starts_with(kMachines)) {
    const auto parts = split_once(path.substr(kMachines.size()), '/');
    if (parts && !parts->first.empty()) {
      co_return co_await handle_machine(MachineId(std::string(parts->first)),
                                        std::string(parts->second), request, response);
    }
  }
  co_await send_error(response, Error::make(Code::not_found, fmt::format("{}: not here", path)));
}

async::Task<void> WorkerApi::handle_machine(MachineId id, std::string what, http::Request& request,
                                            http::ResponseWriter& response) {
  if (worker_.find(id) == nullptr) {
    const std::string sentence = fmt::format("machine {}: not on this node", id);
    co_return co_await send_error(response, Error::make(Code::not_found, sentence));
  }
  if (what == "logs") {
    const Result<LogQuery> query = log_query(request.head);
    if (!query) co_return co_await send_error(response, query.error());
    co_return co_await logs(id, *query, response);
  }
  if (what == "exec") co_return co_await serve_exec(host_, worker_, id, request, response);
  if (what == "signal") co_return co_await serve_signal(worker_, id, request, response);
  if (what == "console") co_return co_await serve_console(host_, worker_, id, response);
  co_await send_error(response, Error::make(Code::not_found, fmt::format("{}: not here", what)));
}

async::Task<void> WorkerApi::logs(MachineId id, LogQuery query, http::ResponseWriter& response) {
  http::ResponseHead head = json_head(200);
  head.headers.set("Content-Type", "application/x-ndjson");
  if (!co_await response.start(std::move(head))) co_return;
  co_await async::first_of(host_.loop, stream_logs(*this, id, query, response), response.closed());
}

async::Task<void> WorkerApi::stream_logs(WorkerApi& api, MachineId id, LogQuery query,
                                         http::ResponseWriter& response) {
  sys::Host& host = api.host_;
  const std::string directory = api.worker_.vm_directory_of(id);
  if (query.tail > 0) {
    const auto last = co_await host.pool.run(
        host.loop, [directory, n = query.tail] { return vm::tail_log(directory, n); });
    if (last && !last->empty()) {
      if (!co_await response.write(to_lines(*last))) co_return;
      query.after = std::max(query.after, last->back().sequence);
    }
  }
  // Shared with the pool's thread, which may still read when this task is cancelled.
  const auto reader = std::make_shared<vm::LogReader>(directory, query.after);
  for (;;) {
    const auto lines =
        co_await host.pool.run(host.loop, [reader] { return reader->read(kLogBatch); });
    if (!lines) break;
    if (!lines->empty()) {
      if (!co_await response.write(to_lines(*lines))) co_return;
      continue;
    }
    if (!query.follow || api.worker_.find(id) == nullptr) break;
    co_await host.loop.sleep(vm::kFollowInterval);
  }
  (void)co_await response.finish();
}

}  // namespace perigee::worker
