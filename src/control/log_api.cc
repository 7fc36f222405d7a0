#include "control/log_api.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "api/event_stream.h"
#include "api/limits.h"
#include "async/combine.h"
#include "async/task_group.h"
#include "base/text.h"
#include "control/app_api.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

struct Entry {
  LogLine line;
  MachineId machine;
  RegionCode region;
};

json::Value view(const Entry& entry) {
  return json::object({{"timestamp", entry.line.at},
                       {"message", entry.line.message},
                       {"stream", entry.line.stream},
                       {"instance", entry.machine.str()},
                       {"region", entry.region.str()},
                       {"sequence", entry.line.sequence}});
}

// Of each machine, the last line that a client has.
using Cursor = std::map<MachineId, std::int64_t>;

struct Query {
  AppName app;
  MachineId machine;  // empty: all of the app
  RegionCode region;  // empty: any
  LogFilter filter;
  std::size_t tail = kDefaultLogTail;
  bool follow = false;
  std::optional<Cursor> after;  // of a client that comes back; no tail then
};

// "148e2…:17,90ab1…:3"
Result<Cursor> cursor_from(std::string_view text) {
  Cursor cursor;
  for (const std::string_view item : split(text, ',')) {
    if (item.empty()) continue;
    const auto pair = split_once(item, ':');
    const auto sequence = pair ? parse_uint(pair->second, INT64_MAX - 1) : std::nullopt;
    if (!sequence || pair->first.empty())
      return fail(Code::invalid_argument, "after: '{}' is not MACHINE:SEQUENCE", item);
    cursor[MachineId(std::string(pair->first))] = static_cast<std::int64_t>(*sequence);
    if (cursor.size() > kMaxLogCursor)
      return fail(Code::invalid_argument, "after: at most {} machines", kMaxLogCursor);
  }
  return cursor;
}

Result<LogFilter> filter_of(const api::Call& call, WallTime now) {
  LogFilter filter;
  filter.search = call.query("search").value_or("");
  if (filter.search.size() > kMaxLogSearch)
    return fail(Code::invalid_argument, "search: at most {} bytes", kMaxLogSearch);
  filter.stream = call.query("stream").value_or("");
  constexpr std::array<std::string_view, 4> kStreams{"", "stdout", "stderr", "system"};
  if (std::ranges::find(kStreams, filter.stream) == kStreams.end())
    return fail(Code::invalid_argument, "stream: '{}' is not stdout, stderr or system",
                filter.stream);
  if (const auto text = call.query("since"); text && !text->empty()) {
    TRY_AS(const Duration ago, parse_duration(*text), "since");
    filter.since_ns = std::max<std::int64_t>(1, now.ns - ago.count());
  }
  return filter;
}

Result<Query> query_of(const api::Call& call, WallTime now) {
  Query query;
  TRY(query.app, app_of(call));
  query.machine = MachineId(call.query("machine").value_or(call.query("instance").value_or("")));
  query.region = RegionCode(call.query("region").value_or(""));
  TRY(query.filter, filter_of(call, now));
  query.follow = call.flag("follow");
  if (const auto text = call.query("tail")) {
    const auto lines = parse_uint(*text, kMaxLogTail);
    if (!lines) return fail(Code::invalid_argument, "tail: from 0 to {}", kMaxLogTail);
    query.tail = static_cast<std::size_t>(*lines);
  }
  if (const auto text = call.query("after")) {
    TRY(query.after, cursor_from(*text));
  }
  return query;
}

std::vector<model::Machine> machines_of(const Context& context, const Query& query) {
  std::vector<model::Machine> out;
  for (auto& stored : context.desired.machines_of(query.app)) {
    const model::Machine& machine = stored.value;
    if (!query.machine.empty() && machine.id != query.machine) continue;
    if (!query.region.empty() && machine.region != query.region) continue;
    out.push_back(std::move(stored.value));
  }
  return out;
}

// One client's view of an app's output.
class LogSession {
 public:
  LogSession(const Context& context, Query query, api::EventStream& stream)
      : context_(context),
        query_(std::move(query)),
        stream_(stream),
        lines_(context.host.loop, kLogQueue),
        room_(context.host.loop),
        readers_(context.host.loop, kMaxMachinesPerApp) {}

  async::Task<Result<void>> run() {
    if (query_.after) {
      CO_TRY_VOID(co_await send_rest_of_gone());
    } else {
      CO_TRY_VOID(co_await send_tail());
    }
    if (query_.follow) {
      CO_TRY_VOID(co_await send_cursor());
      CO_TRY_VOID(co_await send_new());
    }
    co_return co_await stream_.finish();
  }

 private:
  async::Task<Result<void>> send_tail() {
    std::vector<Entry> entries;
    const std::vector<model::Machine> machines = machines_of(context_, query_);
    for (const model::Machine& machine : machines)
      co_await read_tail(at(machine), machine.region, entries);
    const std::vector<MachineAt> gone = co_await gone_machines();
    for (const MachineAt& machine : gone) co_await read_tail(machine, RegionCode(), entries);
    std::ranges::sort(entries, {}, [](const Entry& e) {
      return std::tuple(e.line.at, e.machine, e.line.sequence);
    });
    const std::size_t skip = entries.size() > query_.tail ? entries.size() - query_.tail : 0;
    for (std::size_t i = skip; i < entries.size(); ++i)
      CO_TRY_VOID(co_await stream_.send("", view(entries[i]), std::nullopt));
    co_return Result<void>();
  }

  // For a client that comes back: what machines have written that are gone by now. Those that are
  // there are followed from where the client was.
  async::Task<Result<void>> send_rest_of_gone() {
    for (const auto& [machine, sequence] : *query_.after) next_[machine] = sequence + 1;
    const std::vector<MachineAt> gone = co_await gone_machines();
    for (const MachineAt& from : gone) {
      const auto seen = query_.after->find(from.machine);
      if (seen == query_.after->end()) continue;
      const auto lines =
          co_await context_.worker.tail(query_.app, from, kMaxLogTail, query_.filter);
      for (std::size_t i = 0; lines && i < lines->size(); ++i) {
        const Entry entry{(*lines)[i], from.machine, RegionCode()};
        if (entry.line.sequence <= seen->second) continue;
        CO_TRY_VOID(co_await stream_.send("", view(entry), std::nullopt));
        next_[from.machine] = entry.line.sequence + 1;
      }
    }
    co_return Result<void>();
  }

  // Also of machines whose last lines were left out of the tail: they don't come later.
  async::Task<Result<void>> send_cursor() {
    json::Value cursor = json::object();
    for (const auto& [machine, next] : next_) cursor.set(machine.str(), next - 1);
    co_return co_await stream_.send("cursor", std::move(cursor), std::nullopt);
  }

  // Machines that write nothing yet, or whose worker is away, have no last lines.
  async::Task<void> read_tail(MachineAt machine, RegionCode region, std::vector<Entry>& entries) {
    const auto lines = co_await context_.worker.tail(
        query_.app, machine, std::max<std::size_t>(1, query_.tail), query_.filter);
    for (std::size_t i = 0; lines && i < lines->size(); ++i) {
      entries.push_back({(*lines)[i], machine.machine, region});
      next_[machine.machine] = (*lines)[i].sequence + 1;
    }
  }

  // Those that only their node remembers; of which region they were is not known any more.
  async::Task<std::vector<MachineAt>> gone_machines() {
    std::vector<MachineAt> gone;
    if (!query_.region.empty()) co_return gone;
    std::vector<NodeId> nodes;
    for (const auto& [node, reported] : context_.observed.nodes()) {
      if (!reported.lost) nodes.push_back(node);
    }
    for (const NodeId& node : nodes) {
      const auto archived = co_await context_.worker.archived(query_.app, node);
      for (std::size_t i = 0; archived && i < archived->size(); ++i) {
        const MachineId& id = (*archived)[i];
        const bool wanted = query_.machine.empty() || query_.machine == id;
        if (wanted && !context_.desired.machines().contains(id)) gone.push_back({id, node});
      }
    }
    co_return gone;
  }

  async::Task<Result<void>> send_new() {
    readers_.spawn(read_all(*this));
    async::Loop& loop = context_.host.loop;
    for (;;) {
      auto next = co_await async::until(loop, loop.now() + api::kEventKeepAlive, lines_.pop());
      if (!next) {
        CO_TRY_VOID(co_await stream_.keep_alive());
        continue;
      }
      room_.notify_all();
      CO_TRY_VOID(co_await stream_.send("", view(**next), std::nullopt));
    }
  }

  // Starts a reader for each machine, also for those that come later.
  static async::Task<void> read_all(LogSession& self) {
    for (;;) {
      for (model::Machine& machine : machines_of(self.context_, self.query_)) {
        if (!self.read_.insert(machine.id).second) continue;
        self.readers_.spawn(read_one(self, std::move(machine)));
      }
      co_await self.context_.changed.wait();
    }
  }

  // Follows one machine as long as control knows it, through restarts of its worker.
  static async::Task<void> read_one(LogSession& self, model::Machine machine) {
    while (self.context_.desired.machines().contains(machine.id)) {
      auto reader = co_await self.context_.worker.follow(at(machine), self.next_[machine.id],
                                                         self.query_.filter);
      while (reader) {
        Result<std::optional<LogLine>> line = co_await (*reader)->next();
        if (!line || !*line) break;
        self.next_[machine.id] = (*line)->sequence + 1;
        const Entry entry{**line, machine.id, machine.region};
        while (!self.lines_.push(entry)) co_await self.room_.wait();
      }
      co_await self.context_.host.loop.sleep(kLogRetry);
    }
    self.read_.erase(machine.id);
  }

  const Context& context_;
  Query query_;
  api::EventStream& stream_;
  std::map<MachineId, std::int64_t> next_;  // sequence to read from
  std::set<MachineId> read_;                // machines that have a reader
  async::Mailbox<Entry> lines_;
  async::Notify room_;
  async::TaskGroup readers_;
};

async::Task<void> run_session(LogSession& session, Result<void>& done) {
  done = co_await session.run();
}

}  // namespace

void LogApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.stream(
      "GET", "/v1/apps/{app}/logs", guard,
      [this](api::Call& call, http::ResponseWriter& response) { return logs(call, response); });
}

async::Task<Result<void>> LogApi::logs(api::Call& call, http::ResponseWriter& response) {
  CO_TRY(Query query, query_of(call, context_.host.clock.wall()));
  CO_TRY([[maybe_unused]] const auto app, context_.desired.app(query.app));
  api::EventStream stream(call.request, response);
  CO_TRY_VOID(co_await stream.start());
  LogSession session(context_, std::move(query), stream);
  Result<void> done;
  co_await async::first_of(context_.host.loop, run_session(session, done), response.closed());
  co_return done;
}

}  // namespace perigee::control
