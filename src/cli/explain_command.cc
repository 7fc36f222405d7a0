// explain: why a request went to its machine, or where one from a city would go now.
#include "base/text.h"
#include "cli/commands.h"

namespace perigee::cli {
namespace {

// "https://hello.example.org/x" → "hello.example.org"
std::string host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  return std::string(url.substr(0, url.find_first_of("/:?")));
}

// Of -a or the configuration file; else the first label of the URL's host, which is the app's.
Result<AppName> app_for(Session& session, const std::string& url) {
  auto app = session.app();
  if (app || url.empty()) return app;
  const std::string host = host_of(url);
  return AppName(host.substr(0, host.find('.')));
}

std::string limits_of(const json::Value& answer) {
  const auto soft = answer.optional_int("soft_limit", 0).value_or(0);
  const auto hard = answer.optional_int("hard_limit", 0).value_or(0);
  return fmt::format("soft limit {}, {}", soft,
                     hard > 0 ? fmt::format("hard limit {}", hard) : "no hard limit");
}

void print_explanation(const json::Value& answer) {
  const std::string request = text_of(answer, "request_id");
  if (!request.empty()) print(fmt::format("Request  {}, {}", request, text_of(answer, "at")));
  print(
      fmt::format("Router   {} ({})", text_of(answer, "router"), text_of(answer, "router_region")));
  print(fmt::format("Policy   {}, {}", text_of(answer, "policy"), limits_of(answer)));
  print(fmt::format("Outcome  {}", text_of(answer, "outcome")));
  std::vector<std::vector<std::string>> rows;
  const json::Value* candidates = answer.find("candidates");
  for (const json::Value& each : candidates == nullptr ? json::Array{} : candidates->items()) {
    const json::Value* rtt = each.find("rtt_ms");
    const bool chosen = each.optional_bool("chosen", false).value_or(false);
    rows.push_back({chosen ? "→" : " ", text_of(each, "machine"), text_of(each, "region"),
                    text_of(each, "node"),
                    fmt::format("{:.1f} ms", rtt == nullptr ? 0.0 : rtt->number().value_or(0)),
                    text_of(each, "in_flight"), text_of(each, "why")});
  }
  print("");
  print_table({" ", "MACHINE", "REGION", "NODE", "ROUND TRIP", "IN FLIGHT", "WHY"}, rows);
}

}  // namespace

async::Task<Result<void>> run_explain(Session& session) {
  const Options& options = session.options();
  const bool ahead = !options.explain_from.empty();
  CO_TRY(const AppName app, app_for(session, ahead ? options.explain_what : ""));
  CO_TRY(client::Client* const api, session.api());
  const std::string query = ahead ? "from=" + http::percent_encode(options.explain_from)
                                  : "request=" + http::percent_encode(options.explain_what);
  CO_TRY(const json::Value answer, co_await api->explain(app.str(), query));
  if (options.json) {
    print_json(answer);
  } else {
    print_explanation(answer);
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
