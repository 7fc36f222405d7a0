#include "worker/api.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "async/combine.h"
#include "base/text.h"
#include "json/json.h"
#include "model/json.h"
#include "vm/output_log.h"
#include "worker/limits.h"
#include "worker/machine_access.h"
#include "worker/metrics_source.h"
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

Error not_here(const MachineId& id) {
  return Error::make(Code::not_found, fmt::format("machine {}: not on this node", id));
}

}  // namespace

Result<LogQuery> log_query(const http::RequestHead& head) {
  LogQuery query;
  TRY(const std::uint64_t from, number(head, "from", UINT64_MAX));
  query.after = from == 0 ? 0 : from - 1;
  TRY(query.tail, number(head, "tail", kMaxTail));
  TRY(const std::uint64_t follow, number(head, "follow", 1));
  query.follow = follow == 1;
  query.app = AppName(head.query("app").value_or(""));
  query.filter.search = head.query("search").value_or("");
  if (query.filter.search.size() > kMaxSearch)
    return fail(Code::invalid_argument, "search: at most {} bytes", kMaxSearch);
  if (const auto stream = head.query("stream"); stream && !stream->empty()) {
    TRY(query.filter.stream, vm::log_stream_from(*stream));
  }
  TRY(const std::uint64_t since, number(head, "since", INT64_MAX));
  if (since > 0) query.filter.since = WallTime{static_cast<std::int64_t>(since)};
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
  const std::string_view path = request.head.path();
  if (path == "/internal/v1/status") {
    (void)co_await response.send(json_head(200), model::to_json(worker_.report()).dump() + "\n");
    co_return;
  }
  if (path == "/internal/v1/archived-logs") co_return co_await archived_logs(request, response);
  if (path.starts_with(kMachines)) {
    const auto parts = split_once(path.substr(kMachines.size()), '/');
    if (parts && !parts->first.empty()) {
      co_return co_await handle_machine(MachineId(std::string(parts->first)),
                                        std::string(parts->second), request, response);
    }
  }
  co_await send_error(response, Error::make(Code::not_found, fmt::format("{}: not here", path)));
}

async::Task<void> WorkerApi::usage(MachineId id, http::ResponseWriter& response) {
  const SampleSeed seed = seed_of(*worker_.find(id));
  const MachineSample sample = co_await take_sample(host_, worker_.driver(), seed);
  (void)co_await response.send(json_head(200), usage_json(sample).dump() + "\n");
}

async::Task<void> WorkerApi::handle_machine(MachineId id, std::string what, http::Request& request,
                                            http::ResponseWriter& response) {
  if (what == "logs") {
    const Result<LogQuery> query = log_query(request.head);
    if (!query) co_return co_await send_error(response, query.error());
    co_return co_await logs(id, *query, response);
  }
  if (worker_.find(id) == nullptr) co_return co_await send_error(response, not_here(id));
  if (what == "usage") co_return co_await usage(id, response);
  if (what == "ps") co_return co_await serve_processes(worker_, id, response);
  if (what == "exec") co_return co_await serve_exec(host_, worker_, id, request, response);
  if (what == "signal") co_return co_await serve_signal(worker_, id, request, response);
  if (what == "console") co_return co_await serve_console(host_, worker_, id, response);
  co_await send_error(response, Error::make(Code::not_found, fmt::format("{}: not here", what)));
}

async::Task<void> WorkerApi::logs(MachineId id, LogQuery query, http::ResponseWriter& response) {
  const Result<std::string> directory = co_await log_directory(id, query.app);
  if (!directory) co_return co_await send_error(response, directory.error());
  const WallTime oldest{host_.clock.wall().ns - worker_.config().logs.keep.count()};
  if (!query.filter.since || query.filter.since->ns < oldest.ns) query.filter.since = oldest;
  http::ResponseHead head = json_head(200);
  head.headers.set("Content-Type", "application/x-ndjson");
  if (!co_await response.start(std::move(head))) co_return;
  co_await async::first_of(host_.loop, stream_logs(*this, id, query, *directory, response),
                           response.closed());
}

// Of a machine that is here, or that was and is gone.
async::Task<Result<std::string>> WorkerApi::log_directory(MachineId id, AppName app) {
  const MachineReconciler* const here = worker_.find(id);
  if (here != nullptr && !here->removed()) co_return worker_.vm_directory_of(id);
  if (here != nullptr) app = here->machine().app;
  if (app.empty()) co_return fail(not_here(id));
  CO_TRY(const auto archived, co_await worker_.archived_logs(app));
  const auto found = std::ranges::find(archived, id, &ArchivedLog::machine);
  if (found == archived.end()) co_return fail(not_here(id));
  co_return found->directory;
}

async::Task<void> WorkerApi::archived_logs(http::Request& request, http::ResponseWriter& response) {
  const auto logs = co_await worker_.archived_logs(AppName(request.head.query("app").value_or("")));
  if (!logs) co_return co_await send_error(response, logs.error());
  json::Value machines = json::array();
  const std::size_t skip = logs->size() - std::min(logs->size(), kMaxArchivedShown);
  for (std::size_t i = skip; i < logs->size(); ++i) machines.push((*logs)[i].machine.str());
  const json::Value body = json::object({{"machines", std::move(machines)}});
  (void)co_await response.send(json_head(200), body.dump() + "\n");
}

async::Task<void> WorkerApi::stream_logs(WorkerApi& api, MachineId id, LogQuery query,
                                         std::string directory, http::ResponseWriter& response) {
  sys::Host& host = api.host_;
  if (query.tail > 0) {
    const auto last = co_await host.pool.run(host.loop, [directory, query] {
      return vm::tail_log(directory, query.tail, query.filter);
    });
    if (last && !last->empty()) {
      if (!co_await response.write(to_lines(*last))) co_return;
      query.after = std::max(query.after, last->back().sequence);
    }
  }
  // Shared with the pool's thread, which may still read when this task is cancelled.
  const auto reader = std::make_shared<vm::LogReader>(directory, query.after);
  for (;;) {
    auto lines = co_await host.pool.run(host.loop, [reader] { return reader->read(kLogBatch); });
    if (!lines) break;
    if (!lines->empty()) {
      std::erase_if(*lines, [&](const vm::LogLine& line) { return !matches(query.filter, line); });
      const std::string text = to_lines(*lines);
      if (!text.empty() && !co_await response.write(text)) co_return;
      continue;
    }
    if (!query.follow || api.worker_.find(id) == nullptr) break;
    co_await host.loop.sleep(vm::kFollowInterval);
  }
  (void)co_await response.finish();
}

}  // namespace perigee::worker
