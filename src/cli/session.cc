#include "cli/session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/own_node.h"
#include "config/cli_config.h"
#include "model/json.h"

namespace perigee::cli {

Session::Session(sys::PosixHost& host, Options options)
    : host_(host), options_(std::move(options)), paths_(config::paths_from_environment()) {}

Result<client::Client*> Session::api() {
  if (api_) return api_.get();
  TRY(config::CliConfig saved, config::load_cli_config(paths_.cli_file));
  if (!options_.api_url.empty()) saved.api_url = options_.api_url;
  if (!options_.token.empty()) saved.token = options_.token;
  if (saved.api_url.empty()) saved = own_api(paths_);
  if (saved.api_url.empty()) {
    return fail(Code::unauthenticated,
                "no server is known: run `perigee up` on it, or give --api URL and --token TOKEN");
  }
  TRY(api_, client::Client::create(host_.host(), saved.api_url, saved.token));
  return api_.get();
}

Result<AppName> Session::app() const {
  if (!options_.app.empty()) return model::parse_app_name(options_.app);
  const auto config = config::load_app_config(options_.config);
  if (!config && config.error().code == Code::not_found) {
    return fail(Code::invalid_argument,
                "which app? Give -a NAME, or run this beside a perigee.toml");
  }
  if (!config) return fail(config.error());
  if (config->app.empty()) {
    return fail(Code::invalid_argument, "{} names no app: give -a NAME", options_.config);
  }
  return config->app;
}

void print(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

void print_error(const Error& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s\n", error.context.c_str());
}

void print_json(const json::Value& value) {
  print(value.dump_pretty());
}

void print_table(const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : header) widths.push_back(cell.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i)
      text += fmt::format("{:<{}}  ", cells[i], widths[i]);
    text.erase(text.find_last_not_of(' ') + 1);
    print(text);
  };
  line(header);
  for (const auto& row : rows) line(row);
}

Step::Step(Session& session, std::string_view words)
    : session_(session),
      started_(session.host().loop.now()),
      on_terminal_(::isatty(STDOUT_FILENO) == 1) {
  print(fmt::format("==> {}", words));
}

void Step::done(std::string_view result) {
  if (dirty_) std::fputs("\r\033[K", stdout);
  const double seconds = to_seconds(session_.host().loop.now() - started_);
  print(fmt::format("    {}{}{:.1f} s", result, result.empty() ? "" : ", ", seconds));
}

void Step::progress(std::string_view text) {
  if (!on_terminal_) return;
  dirty_ = true;
  std::fprintf(stdout, "\r\033[K    %.*s", static_cast<int>(text.size()), text.data());
  std::fflush(stdout);
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr double kStep = 1024;
  double value = static_cast<double>(bytes);
  for (const char* unit : {"B", "KiB", "MiB"}) {
    if (value < kStep)
      return fmt::format("{:.{}f} {}", value, value < 10 && bytes >= 1024 ? 1 : 0, unit);
    value /= kStep;
  }
  return fmt::format("{:.1f} GiB", value);
}

std::string text_of(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  if (member == nullptr || member->is_null()) return {};
  if (const std::string* text = member->string()) return *text;
  return member->dump();
}

}  // namespace perigee::cli
