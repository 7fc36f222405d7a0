#include "router/error_page.h"

#include "http2/fields.h"
#include "json/json.h"
#include "router/grpc.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string html(const Problem& problem, std::string_view app, std::string_view request_id) {
  const std::string title =
      fmt::format("{} {}", problem.status, http::reason_phrase(problem.status));
  const std::string app_line =
      app.empty() ? std::string() : fmt::format("<p>App: <code>{}</code></p>\n", escape(app));
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;"
      "padding:0 1em}}code{{background:#eee;padding:.1em .3em}}</style></head>\n"
      "<body><h1>{0}</h1>\n<p>{1}</p>\n{2}<p>Request: <code>{3}</code></p></body></html>\n",
      title, escape(problem.reason), app_line, escape(request_id));
}

std::string json_text(const Problem& problem, std::string_view app, std::string_view request_id) {
  json::Value value = json::object(
      {{"error", problem.reason}, {"status", problem.code}, {"request_id", request_id}});
  if (!app.empty()) value.set("app", app);
  return value.dump() + "\n";
}

}  // namespace

Page error_page(const Problem& problem, std::string_view app, std::string_view request_id,
                const http::Headers& request) {
  if (http2::is_grpc(request)) return grpc::refusal(problem, request_id);
  const std::string_view* accept = request.find("accept");
  const bool browser = accept != nullptr && accept->find("text/html") != std::string::npos;
  Page page{.head = {.status = problem.status}, .body = {}};
  page.body = browser ? html(problem, app, request_id) : json_text(problem, app, request_id);
  http::Headers& headers = page.head.headers;
  headers.add("Content-Type", browser ? "text/html; charset=utf-8" : "application/json");
  headers.add("Cache-Control", "no-store");
  headers.add("perigee-request-id", request_id);
  headers.add("fly-request-id", request_id);
  if (problem.retry_soon) headers.add("Retry-After", std::to_string(kRetryAfterSeconds));
  return page;
}

}  // namespace perigee::router
