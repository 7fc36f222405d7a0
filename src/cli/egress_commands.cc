// egress show, egress set: where an app's machines may connect to.
#include "cli/commands.h"

namespace perigee::cli {
namespace {

void print_egress(const json::Value& egress, bool as_json) {
  if (as_json) return print_json(egress);
  print(fmt::format("Policy  {}", text_of(egress, "policy")));
  const json::Value* allow = egress.find("allow");
  for (const json::Value& rule : allow == nullptr ? json::Array{} : allow->items()) {
    if (const std::string* text = rule.string()) print(fmt::format("Allow   {}", *text));
  }
}

}  // namespace

async::Task<Result<void>> run_egress_show(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value egress, co_await api->egress(app.str()));
  print_egress(egress, session.options().json);
  co_return Result<void>();
}

async::Task<Result<void>> run_egress_set(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  const json::Value wanted = json::object(
      {{"policy", options.egress_policy}, {"allow", json::strings(options.egress_allow)}});
  CO_TRY(const json::Value egress, co_await api->set_egress(app.str(), wanted));
  print_egress(egress, options.json);
  co_return Result<void>();
}

}  // namespace perigee::cli
