#include "vm/guest_report.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "channel/limits.h"

namespace perigee::vm {
namespace {

constexpr std::size_t kMaxSockets = 64;

template <typename Numbers>
json::Value numbers_json(const Numbers& numbers) {
  json::Value out = json::array();
  for (const auto number : numbers) out.push(static_cast<std::int64_t>(number));
  return out;
}

template <typename Numbers>
Result<void> read_numbers(const json::Value* list, Numbers& into) {
  if (list == nullptr || list->items().size() != into.size()) {
    return fail(Code::internal, "a list of {} numbers is missing", into.size());
  }
  for (std::size_t i = 0; i < into.size(); ++i) {
    const auto number = list->items()[i].integer();
    if (!number || *number < 0) return fail(Code::internal, "a number is missing");
    into[i] = static_cast<typename Numbers::value_type>(*number);
  }
  return {};
}

template <typename Rows>
json::Value rows_json(const Rows& rows) {
  json::Value out = json::array();
  for (const auto& row : rows) {
    out.push(json::object({{"name", row.name}, {"values", numbers_json(row.values)}}));
  }
  return out;
}

template <typename Row>
Result<void> read_rows(const json::Value& value, std::string_view key, std::vector<Row>& into) {
  const json::Value* rows = value.find(key);
  if (rows == nullptr || rows->items().size() > channel::kMaxStatsRows) {
    return fail(Code::internal, "{}: not a list that can be", key);
  }
  for (const json::Value& item : rows->items()) {
    Row row;
    TRY(row.name, item.require_string("name"));
    TRY_VOID_AS(read_numbers(item.find("values"), row.values), key);
    into.push_back(std::move(row));
  }
  return {};
}

}  // namespace

json::Value to_json(const channel::Stats& stats) {
  return json::object({{"load_centi", numbers_json(stats.load_centi)},
                       {"memory", numbers_json(stats.memory)},
                       {"files", numbers_json(std::array{stats.files_open, stats.files_limit})},
                       {"cpus", rows_json(stats.cpus)},
                       {"disks", rows_json(stats.disks)},
                       {"networks", rows_json(stats.networks)},
                       {"filesystems", rows_json(stats.filesystems)}});
}

Result<channel::Stats> stats_from(const json::Value& value) {
  channel::Stats stats;
  std::array<std::uint64_t, 2> files{};
  TRY_VOID_AS(read_numbers(value.find("load_centi"), stats.load_centi), "load_centi");
  TRY_VOID_AS(read_numbers(value.find("memory"), stats.memory), "memory");
  TRY_VOID_AS(read_numbers(value.find("files"), files), "files");
  stats.files_open = files[0];
  stats.files_limit = files[1];
  TRY_VOID(read_rows(value, "cpus", stats.cpus));
  TRY_VOID(read_rows(value, "disks", stats.disks));
  TRY_VOID(read_rows(value, "networks", stats.networks));
  TRY_VOID(read_rows(value, "filesystems", stats.filesystems));
  return stats;
}

json::Value to_json(const std::vector<ProcessReport>& processes) {
  json::Value out = json::array();
  for (const ProcessReport& process : processes) {
    json::Value sockets = json::array();
    for (const ProcessSocket& socket : process.sockets)
      sockets.push(json::object({{"proto", socket.protocol}, {"address", socket.address}}));
    const std::int64_t percent =
        process.age_ms > 0 ? std::min(process.cpu_ms, INT64_MAX / 100) * 100 / process.age_ms : 0;
    out.push(json::object({{"pid", process.pid},
                           {"command", process.command},
                           {"directory", process.directory},
                           {"cpu", percent},
                           {"rss", process.rss_bytes},
                           {"stime", process.started_unix_s},
                           {"rtime", process.age_ms / 1000},
                           {"listen_sockets", std::move(sockets)}}));
  }
  return out;
}

json::Value to_json(const std::vector<ListeningSocket>& sockets) {
  json::Value out = json::array();
  for (const ListeningSocket& socket : sockets) {
    out.push(json::object(
        {{"address", socket.address}, {"port", socket.port}, {"process", socket.process}}));
  }
  return out;
}

Result<std::vector<ListeningSocket>> listening_from(const json::Value& value) {
  if (!value.is_array() || value.items().size() > kMaxSockets) {
    return fail(Code::internal, "the monitor's answer has no list of sockets");
  }
  std::vector<ListeningSocket> out;
  for (const json::Value& item : value.items()) {
    ListeningSocket socket;
    TRY(socket.address, item.require_string("address"));
    TRY(const std::int64_t port, item.require_int("port"));
    socket.port = static_cast<int>(port);
    TRY(socket.process, item.optional_string("process"));
    out.push_back(std::move(socket));
  }
  return out;
}

}  // namespace perigee::vm
