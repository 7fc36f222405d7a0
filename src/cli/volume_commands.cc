// volumes …: thin views of the API.
#include <unistd.h>

#include <iostream>

#include "cli/commands.h"

namespace perigee::cli {
namespace {

constexpr std::int64_t kMibPerGib = 1024;
constexpr Duration kPoll = 100ms;
constexpr Duration kPatience = 10min;  // for a volume to be made or restored: a restore copies

std::string size_text(const json::Value& volume) {
  const std::int64_t mib = volume.optional_int("size_mb", 0).value_or(0);
  return mib % kMibPerGib == 0 ? fmt::format("{} GiB", mib / kMibPerGib)
                               : fmt::format("{} MiB", mib);
}

void print_volumes(const std::vector<json::Value>& volumes) {
  if (volumes.empty()) return print("No volumes. Make one with `perigee volumes create NAME`.");
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& volume : volumes) {
    rows.push_back({text_of(volume, "id"), text_of(volume, "name"), text_of(volume, "state"),
                    size_text(volume), text_of(volume, "region"), text_of(volume, "zone"),
                    volume.optional_bool("encrypted", false).value_or(false) ? "yes" : "no",
                    text_of(volume, "attached_machine_id"), text_of(volume, "error")});
  }
  print_table({"ID", "NAME", "STATE", "SIZE", "REGION", "NODE", "ENCRYPTED", "MACHINE", "ERROR"},
              rows);
}

void show_volume(Session& session, const json::Value& volume) {
  if (session.options().json) {
    print_json(volume);
  } else {
    print_volumes({volume});
  }
}

json::Value size_body(const Options& options) {
  json::Value body = json::object({});
  if (options.size_mib > 0) {
    body.set("size_mb", options.size_mib);
  } else if (options.size_gib > 0) {
    body.set("size_gb", options.size_gib);
  }
  return body;
}

bool is_settled(const std::string& state) {
  return state == "created" || state == "failed";
}

// Until the node has it as it is wanted.
async::Task<Result<json::Value>> await_volume(Session& session, client::Client& api, AppName app,
                                              std::string id) {
  async::Loop& loop = session.host().loop;
  const MonotonicTime end = loop.now() + kPatience;
  for (;;) {
    CO_TRY(json::Value volume, co_await api.volume(app.str(), id));
    const std::string state = text_of(volume, "state");
    if (state == "failed")
      co_return fail(Code::unavailable, "volume {}: {}", id, text_of(volume, "error"));
    if (is_settled(state)) co_return volume;
    if (loop.now() > end)
      co_return fail(Code::deadline_exceeded, "volume {} is still {}; `perigee volumes show {}`",
                     id, state, id);
    co_await loop.sleep(kPoll);
  }
}

async::Task<Result<void>> create(Session& session, json::Value body, std::string_view words) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  std::optional<Step> step;
  if (!options.json) step.emplace(session, words);
  CO_TRY(json::Value volume, co_await api->create_volume(app.str(), std::move(body)));
  CO_TRY(volume, co_await await_volume(session, *api, app, text_of(volume, "id")));
  if (step) step->done(text_of(volume, "id"));
  show_volume(session, volume);
  co_return Result<void>();
}

bool confirmed(const std::string& volume) {
  if (::isatty(STDIN_FILENO) == 0) return false;
  std::cout << fmt::format("Destroy {} with its data and snapshots? Type its id: ", volume)
            << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == volume;
}

}  // namespace

async::Task<Result<void>> run_volumes_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const auto volumes, co_await api->volumes(app.str()));
  if (session.options().json) {
    print_json(json::array(json::Array(volumes.begin(), volumes.end())));
  } else {
    print_volumes(volumes);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_volumes_show(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value volume, co_await api->volume(app.str(), session.options().volume));
  show_volume(session, volume);
  co_return Result<void>();
}

async::Task<Result<void>> run_volumes_create(Session& session) {
  const Options& options = session.options();
  json::Value body = size_body(options);
  body.set("name", options.name);
  if (!options.region.empty()) body.set("region", options.region);
  if (!options.snapshot.empty()) body.set("snapshot_id", options.snapshot);
  if (options.encrypted) body.set("encrypted", *options.encrypted);
  co_return co_await create(session, std::move(body),
                            fmt::format("Making the volume {}", options.name));
}

async::Task<Result<void>> run_volumes_extend(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value answer,
         co_await api->extend_volume(app.str(), options.volume, size_body(options)));
  CO_TRY(const json::Value volume, co_await await_volume(session, *api, app, options.volume));
  if (options.json) {
    print_json(answer);
    co_return Result<void>();
  }
  print_volumes({volume});
  if (answer.optional_bool("needs_restart", false).value_or(false)) {
    print(
        fmt::format("Its file system grows when its machine starts again: `perigee machine "
                    "restart {}`.",
                    text_of(volume, "attached_machine_id")));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_volumes_destroy(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  if (!options.yes && !confirmed(options.volume)) {
    co_return fail(Code::cancelled, "{} was not destroyed (give --yes to go without asking)",
                   options.volume);
  }
  CO_TRY_VOID(co_await api->destroy_volume(app.str(), options.volume));
  if (options.json) {
    print_json(json::object({{"destroyed", options.volume}}));
  } else {
    print(fmt::format("Destroyed {}.", options.volume));
  }
  co_return Result<void>();
}

namespace {

void print_snapshots(const json::Value& snapshots) {
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& snapshot : snapshots.items()) {
    const std::int64_t bytes = snapshot.optional_int("size", 0).value_or(0);
    rows.push_back({text_of(snapshot, "id"), text_of(snapshot, "status"),
                    human_bytes(static_cast<std::uint64_t>(bytes)),
                    text_of(snapshot, "created_at")});
  }
  if (rows.empty()) return print("No snapshots.");
  print_table({"ID", "STATUS", "SIZE", "CREATED"}, rows);
}

const json::Value* find_by_id(const json::Value& list, const std::string& id) {
  for (const json::Value& item : list.items()) {
    if (text_of(item, "id") == id) return &item;
  }
  return nullptr;
}

}  // namespace

async::Task<Result<void>> run_snapshots_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value all, co_await api->snapshots(app.str(), session.options().volume));
  if (session.options().json) {
    print_json(all);
  } else {
    print_snapshots(all);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_snapshots_destroy(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY_VOID(co_await api->destroy_snapshot(app.str(), options.volume, options.snapshot));
  if (options.json) {
    print_json(json::object({{"destroyed", options.snapshot}}));
  } else {
    print(fmt::format("Destroyed the snapshot {}.", options.snapshot));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_snapshots_create(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value made, co_await api->create_snapshot(app.str(), options.volume));
  const std::string id = text_of(made, "id");
  async::Loop& loop = session.host().loop;
  const MonotonicTime end = loop.now() + kPatience;
  for (;;) {
    CO_TRY(const json::Value all, co_await api->snapshots(app.str(), options.volume));
    const json::Value* snapshot = find_by_id(all, id);
    if (snapshot != nullptr && text_of(*snapshot, "status") == "created") {
      if (options.json) print_json(*snapshot);
      if (!options.json) print(fmt::format("Made the snapshot {}.", id));
      co_return Result<void>();
    }
    CO_TRY(const json::Value volume, co_await api->volume(app.str(), options.volume));
    if (const std::string error = text_of(volume, "error"); !error.empty())
      co_return fail(Code::unavailable, "snapshot {} is not made yet: {}", id, error);
    if (loop.now() > end) co_return fail(Code::deadline_exceeded, "snapshot {}: not made yet", id);
    co_await loop.sleep(kPoll);
  }
}

}  // namespace perigee::cli
