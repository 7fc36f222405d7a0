// logs: what an app's machines write, followed through restarts of the API.
#include "cli/commands.h"
#include "cli/reconnect.h"

namespace perigee::cli {
namespace {

void print_log(const json::Value& entry, bool as_json) {
  if (as_json) return print(entry.dump());
  print(fmt::format("{} {}[{}] {}", text_of(entry, "timestamp"), text_of(entry, "region"),
                    text_of(entry, "instance"), text_of(entry, "message")));
}

client::LogQuery query_of(const Options& options) {
  return {.tail = options.lines,
          .follow = !options.no_tail,
          .machine = options.machine,
          .region = options.region,
          .search = options.search,
          .stream = options.stream,
          .since = options.since};
}

// Where the stream stands after an event: a line, or the cursor that the API sends before it
// follows.
void advance(client::LogCursor& cursor, const client::Event& event, const json::Value& data) {
  if (event.type != "cursor") {
    const std::int64_t sequence = data.optional_int("sequence", 0).value_or(0);
    if (sequence > 0) cursor[text_of(data, "instance")] = sequence;
    return;
  }
  for (const auto& [machine, sequence] : data.members())
    cursor[machine] = sequence.integer().value_or(0);
}

// Prints what comes, and moves `query` on, so that the next call begins behind it.
async::Task<Result<void>> print_logs(Session& session, client::Client& api, std::string app,
                                     client::LogQuery& query, Reconnect& reconnect) {
  CO_TRY(const auto events, co_await api.logs(std::move(app), query));
  for (;;) {
    CO_TRY(const auto event, co_await events->next());
    if (!event && query.follow) co_return fail(stream_ended("the log"));
    if (!event) co_return Result<void>();
    reconnect.connected();
    const auto data = json::parse(event->data);
    if (!data || !data->is_object()) continue;
    if (data->find("message") != nullptr) print_log(*data, session.options().json);
    // Before the first cursor there is no place to go on from: the tail comes again.
    if (event->type == "cursor" && !query.after) query.after.emplace();
    if (query.after) advance(*query.after, *event, *data);
  }
}

}  // namespace

async::Task<Result<void>> run_logs(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  client::LogQuery query = query_of(session.options());
  Reconnect reconnect(session, "log");
  for (;;) {
    const auto ended = co_await print_logs(session, *api, app.str(), query, reconnect);
    // Without a place to go on from, what was printed would be printed again.
    if (ended || !query.after) co_return ended;
    CO_TRY_VOID(co_await reconnect.wait(ended.error()));
  }
}

}  // namespace perigee::cli
