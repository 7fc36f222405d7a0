// nodes token, tokens, revoke: what lets another server join this fleet.
#include "base/time.h"
#include "cli/commands.h"

namespace perigee::cli {
namespace {

std::int64_t integer_of(const json::Value& value, std::string_view key) {
  return value.optional_int(key, 0).value_or(0);
}

// The command for the other server, with an address to join at.
void print_next_step(const json::Value& token, bool control) {
  const auto join = token.optional_strings("join");
  if (!join || join->empty()) {
    print(
        "\nNo node with control can be joined yet: add a section [fleet] with its endpoint to "
        "this\n"
        "server's perigeed.toml and start perigeed again (docs/operate/fleet.md).");
    return;
  }
  if (control)
    print(
        "\nFor a node with control, give the other server a perigeed.toml first, with [store] and "
        "[fleet] endpoint (docs/operate/fleet.md).");
  print(
      fmt::format("\nOn the other server, as root; it asks for the token:\n"
                  "  perigeed --join {} --region <city> --token-file -",
                  join->front()));
}

}  // namespace

async::Task<Result<void>> run_nodes_token(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const Duration life, parse_duration(options.token_ttl));
  CO_TRY(const json::Value token,
         co_await api->create_join_token(
             json::object({{"ttl_seconds", std::int64_t{life / std::chrono::seconds(1)}},
                           {"uses", options.token_uses},
                           {"control", options.token_control}})));
  if (options.json) {
    print_json(token);
    co_return Result<void>();
  }
  print(fmt::format("Token    {}", text_of(token, "token")));
  print(fmt::format("Good for {} node{}, {}", options.token_uses,
                    options.token_uses == 1 ? "" : "s", options.token_ttl));
  print_next_step(token, options.token_control);
  co_return Result<void>();
}

async::Task<Result<void>> run_nodes_tokens(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const json::Value answer, co_await api->join_tokens());
  if (session.options().json) {
    print_json(answer);
    co_return Result<void>();
  }
  const json::Value* tokens = answer.find("tokens");
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& token : tokens == nullptr ? json::Array{} : tokens->items()) {
    rows.push_back({text_of(token, "id"), text_of(token, "expires_at"),
                    fmt::format("{}", integer_of(token, "uses_left")),
                    token.optional_bool("control", false).value_or(false) ? "with control" : ""});
  }
  print_table({"ID", "EXPIRES", "USES LEFT", "ADMITS"}, rows);
  co_return Result<void>();
}

async::Task<Result<void>> run_nodes_revoke(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  const std::string& id = session.options().token_id;
  CO_TRY_VOID(co_await api->revoke_join_token(id));
  print(fmt::format("Token {} admits nobody any more.", id));
  co_return Result<void>();
}

}  // namespace perigee::cli
