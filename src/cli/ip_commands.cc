// ips list, allocate-v4, allocate-v6, release: addresses that are one app's alone.
#include "cli/commands.h"

namespace perigee::cli {
namespace {

void print_addresses(const json::Value& answer) {
  std::vector<std::vector<std::string>> rows;
  const json::Value* ips = answer.find("ips");
  for (const json::Value& ip : ips == nullptr ? json::Array{} : ips->items()) {
    rows.push_back({text_of(ip, "type"), text_of(ip, "ip"), text_of(ip, "created_at")});
  }
  if (!rows.empty()) print_table({"VERSION", "IP", "CREATED"}, rows);
  if (rows.empty()) print("No address of its own: the app is reached at the nodes' addresses.");
  const json::Value* ports = answer.find("shared_ports");
  for (const json::Value& port : ports == nullptr ? json::Array{} : ports->items()) {
    if (const std::string* text = port.string()) print("At the nodes' addresses: " + *text);
  }
}

async::Task<Result<void>> allocate(Session& session, std::string type) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value given, co_await api->allocate_address(app.str(), std::move(type)));
  if (session.options().json) {
    print_json(given);
  } else {
    print(fmt::format("{} is the address of app {} from now on.", text_of(given, "ip"), app));
  }
  co_return Result<void>();
}

}  // namespace

async::Task<Result<void>> run_ips_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value answer, co_await api->addresses(app.str()));
  if (session.options().json) {
    print_json(answer);
  } else {
    print_addresses(answer);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_ips_allocate_v4(Session& session) {
  return allocate(session, "v4");
}

async::Task<Result<void>> run_ips_allocate_v6(Session& session) {
  return allocate(session, "v6");
}

async::Task<Result<void>> run_ips_release(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY_VOID(co_await api->release_address(app.str(), options.address));
  if (options.json) {
    print_json(json::object({{"released", options.address}}));
  } else {
    print(fmt::format("{} is free again.", options.address));
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
