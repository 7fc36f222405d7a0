#include "client/client.h"

#include <array>

#include "async/combine.h"
#include "base/text.h"
#include "client/limits.h"
#include "exec/types.h"
#include "http/file_body.h"
#include "http/upgrade.h"
#include "model/json.h"

namespace perigee::client {
namespace {

constexpr std::uint64_t kDefaultPort = 80;

struct Url {
  sys::Address address;
  std::string authority;
};

Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  const auto wrong = [&](std::string_view why) {
    return fail(Code::invalid_argument, "API URL '{}': {} (such as http://127.0.0.1:4280)", text,
                why);
  };
  if (text.starts_with("https://")) {
    return fail(Code::unsupported,
                "API URL '{}': https is not yet supported; use http to a loopback address (through "
                "an SSH tunnel from elsewhere)",
                text);
  }
  if (!text.starts_with(kScheme)) return wrong("expected http://ADDRESS[:PORT]");
  std::string_view rest = text.substr(kScheme.size());
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/?#@") != rest.npos)
    return wrong("expected http://ADDRESS[:PORT]");
  std::string_view host = rest;
  std::uint64_t port = kDefaultPort;
  const std::size_t colon = rest.rfind(':');
  if (colon != rest.npos && rest.find(']', colon) == rest.npos) {
    const auto number = parse_uint(rest.substr(colon + 1), 65535);
    if (!number || *number == 0) return wrong("its port is not from 1 to 65535");
    port = *number;
    host = rest.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (iequals(host, "localhost")) host = "127.0.0.1";
  const auto address = sys::Address::ip(host, static_cast<std::uint16_t>(port));
  if (!address) return wrong("its host is neither an IP address nor localhost");
  return Url{*address, std::string(rest)};
}

Code code_named(std::string_view name, int status) {
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    if (info(static_cast<Code>(i)).name == name) return static_cast<Code>(i);
  }
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    if (info(static_cast<Code>(i)).http_status == status) return static_cast<Code>(i);
  }
  return status < 500 ? Code::invalid_argument : Code::internal;
}

// {"error": sentence, "status": code name, "request_id": …}, or whatever else came.
Error error_of(int status, std::string_view body) {
  const auto document = json::parse(body);
  std::string sentence;
  std::string name;
  if (document && document->is_object()) {
    sentence = document->optional_string("error").value_or("");
    name = document->optional_string("status").value_or("");
  }
  if (sentence.empty())
    sentence = fmt::format("the API answered {} {}", status, http::reason_phrase(status));
  Error error = Error::make(code_named(name, status), std::move(sentence));
  if (error.code == Code::unauthenticated)
    error.context += " (give --token or set PERIGEE_API_TOKEN; `perigee up` saves this node's)";
  return error;
}

template <typename T>
Result<std::vector<T>> list_of(const json::Value& document, std::string_view key,
                               Result<T> (*read)(const json::Value&)) {
  const json::Value* list = key.empty() ? &document : document.find(key);
  std::vector<T> out;
  if (list == nullptr) return out;
  for (const json::Value& item : list->items()) {
    TRY_AS(T each, read(item), "the API's answer");
    out.push_back(std::move(each));
  }
  return out;
}

template <typename T>
Result<T> one_of(const Result<json::Value>& document, Result<T> (*read)(const json::Value&)) {
  if (!document) return fail(document.error());
  TRY_AS(T out, read(*document), "the API's answer");
  return out;
}

std::string app_path(std::string_view app, std::string_view rest = {}) {
  return fmt::format("/v1/apps/{}{}", http::percent_encode(app), rest);
}

std::string machine_path(std::string_view app, std::string_view id) {
  return app_path(app, "/machines/" + http::percent_encode(id));
}

}  // namespace

async::Task<Result<std::optional<Event>>> EventReader::next() {
  constexpr std::size_t kChunk = 16 * 1024;
  std::array<char, kChunk> buffer{};
  for (;;) {
    if (auto event = parser_.next()) co_return event;
    CO_TRY(const std::size_t n,
           co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kSilence),
                                         response_->body().read(buffer), "the API's events"));
    if (n == 0) co_return std::optional<Event>();
    CO_TRY_VOID(parser_.feed({buffer.data(), n}));
  }
}

Result<std::unique_ptr<Client>> Client::create(sys::Host& host, std::string_view base_url,
                                               std::string token) {
  TRY(Url url, parse_url(base_url));
  return std::unique_ptr<Client>(new Client(host, std::string(base_url), url.address,
                                            std::move(url.authority), std::move(token)));
}

Client::Client(sys::Host& host, std::string base_url, sys::Address address, std::string authority,
               std::string token)
    : host_(host),
      base_url_(std::move(base_url)),
      address_(address),
      authority_(std::move(authority)),
      token_(std::move(token)),
      http_(host, {}) {}

http::RequestHead Client::head(std::string method, std::string target) const {
  http::RequestHead out{.method = std::move(method), .target = std::move(target)};
  out.headers.add("Host", authority_);
  out.headers.add("Accept", "application/json");
  if (!token_.empty()) out.headers.add("Authorization", "Bearer " + token_);
  return out;
}

Error Client::unreachable(const Error& error) const {
  return Error::make(error.code, fmt::format("no answer from the API at {}: {} (start this node "
                                             "with `perigee up`, or name another with --api)",
                                             base_url_, error.context));
}

async::Task<Result<std::string>> Client::exchange(http::RequestHead request, json::Value body,
                                                  Duration timeout) {
  std::string text;
  if (!body.is_null()) {
    request.headers.add("Content-Type", "application/json");
    text = body.dump();
  }
  auto response = co_await http_.request(address_, std::move(request), std::move(text),
                                         host_.loop.deadline_in(timeout));
  if (!response) co_return fail(unreachable(response.error()));
  CO_TRY_AS(std::string answer,
            co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kBodyTimeout),
                                          http::read_all((*response)->body(), kMaxAnswerBytes),
                                          "the API's answer"),
            base_url_);
  const int status = (*response)->head.status;
  if (status < 200 || status >= 300) co_return fail(error_of(status, answer));
  co_return answer;
}

async::Task<Result<json::Value>> Client::call(std::string method, std::string target,
                                              json::Value body) {
  CO_TRY(const std::string answer, co_await exchange(head(std::move(method), std::move(target)),
                                                     std::move(body), kCallTimeout));
  if (trim(answer).empty()) co_return json::Value();
  CO_TRY_AS(json::Value document, json::parse(answer), "the API's answer");
  co_return document;
}

async::Task<Result<std::unique_ptr<EventReader>>> Client::follow(std::string target) {
  http::RequestHead request = head("GET", std::move(target));
  request.headers.set("Accept", "text/event-stream");
  auto response = co_await http_.request(address_, std::move(request), {},
                                         host_.loop.deadline_in(kCallTimeout));
  if (!response) co_return fail(unreachable(response.error()));
  const int status = (*response)->head.status;
  if (status == 200) co_return std::make_unique<EventReader>(host_, *std::move(response));
  CO_TRY(const std::string answer,
         co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kBodyTimeout),
                                       http::read_all((*response)->body(), kMaxAnswerBytes),
                                       "the API's answer"));
  co_return fail(error_of(status, answer));
}

async::Task<Result<void>> Client::health() {
  CO_TRY([[maybe_unused]] const json::Value answer, co_await call("GET", "/healthz", {}));
  co_return Result<void>();
}

async::Task<Result<std::vector<NodeInfo>>> Client::nodes() {
  CO_TRY(const json::Value answer, co_await call("GET", "/v1/nodes", {}));
  co_return list_of(answer, "nodes", node_info_from);
}

async::Task<Result<std::vector<AppInfo>>> Client::apps() {
  CO_TRY(const json::Value answer, co_await call("GET", "/v1/apps", {}));
  co_return list_of(answer, "apps", app_info_from);
}

async::Task<Result<AppInfo>> Client::app(std::string name) {
  co_return one_of(co_await call("GET", app_path(name), {}), app_info_from);
}

async::Task<Result<AppInfo>> Client::create_app(std::string name) {
  json::Value body = json::object({{"app_name", name}});
  co_return one_of(co_await call("POST", "/v1/apps", std::move(body)), app_info_from);
}

async::Task<Result<void>> Client::destroy_app(std::string name) {
  CO_TRY([[maybe_unused]] const auto answer, co_await call("DELETE", app_path(name), {}));
  co_return Result<void>();
}

async::Task<Result<std::vector<MachineInfo>>> Client::machines(std::string app) {
  CO_TRY(const json::Value answer, co_await call("GET", app_path(app, "/machines"), {}));
  co_return list_of(answer, "", machine_info_from);
}

async::Task<Result<MachineInfo>> Client::machine(std::string app, std::string id) {
  co_return one_of(co_await call("GET", machine_path(app, id), {}), machine_info_from);
}

async::Task<Result<json::Value>> Client::usage(std::string app, std::string id) {
  co_return co_await call("GET", machine_path(app, id) + "/usage", {});
}

async::Task<Result<void>> Client::act(std::string app, std::string id, std::string action,
                                      json::Value body) {
  CO_TRY([[maybe_unused]] const auto answer,
         co_await call("POST", machine_path(app, id) + "/" + action, std::move(body)));
  co_return Result<void>();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> Client::exec(std::string app, std::string id) {
  http::RequestHead request = head("GET", machine_path(app, id) + "/exec");
  request.headers.set("Upgrade", exec::kProtocol);
  auto answer = co_await http::upgrade(host_, address_, std::move(request),
                                       host_.loop.deadline_in(kCallTimeout));
  if (!answer) co_return fail(unreachable(answer.error()));
  if (!answer->stream) co_return fail(error_of(answer->head.status, answer->body));
  co_return std::move(answer->stream);
}

async::Task<Result<void>> Client::signal(std::string app, std::string id, std::string name) {
  CO_TRY(
      [[maybe_unused]] const auto answer,
      co_await call("POST", machine_path(app, id) + "/signal", json::object({{"signal", name}})));
  co_return Result<void>();
}

async::Task<Result<json::Value>> Client::processes(std::string app, std::string id) {
  co_return co_await call("GET", machine_path(app, id) + "/ps", {});
}

async::Task<Result<std::string>> Client::console(std::string app, std::string id) {
  co_return co_await exchange(head("GET", machine_path(app, id) + "/console"), {}, kCallTimeout);
}

async::Task<Result<json::Value>> Client::egress(std::string app) {
  co_return co_await call("GET", app_path(app, "/egress"), {});
}

async::Task<Result<json::Value>> Client::explain(std::string app, std::string query) {
  co_return co_await call("GET", app_path(app, "/explain?" + query), {});
}

async::Task<Result<json::Value>> Client::set_egress(std::string app, json::Value policy) {
  co_return co_await call("PUT", app_path(app, "/egress"), std::move(policy));
}

async::Task<Result<json::Value>> Client::addresses(std::string app) {
  co_return co_await call("GET", app_path(app, "/ip_assignments"), {});
}

async::Task<Result<json::Value>> Client::allocate_address(std::string app, std::string type) {
  co_return co_await call("POST", app_path(app, "/ip_assignments"),
                          json::object({{"type", std::move(type)}}));
}

async::Task<Result<void>> Client::release_address(std::string app, std::string address) {
  const std::string path = "/ip_assignments/" + http::percent_encode(address);
  CO_TRY([[maybe_unused]] const json::Value released,
         co_await call("DELETE", app_path(app, path), {}));
  co_return Result<void>();
}

async::Task<Result<bool>> Client::has_blob(std::string digest) {
  const Result<json::Value> answer = co_await call("HEAD", "/v1/blobs/" + digest, {});
  if (answer) co_return true;
  if (answer.error().code == Code::not_found) co_return false;
  co_return fail(answer.error());
}

async::Task<Result<void>> Client::put_blob(std::string digest, std::string path, OnBytes sent) {
  CO_TRY(const auto body, http::FileBody::open(host_, path, std::move(sent)));
  http::RequestHead request = head("PUT", "/v1/blobs/" + digest);
  request.headers.add("Content-Type", "application/octet-stream");
  auto response = co_await http_.forward(address_, std::move(request), body.get(),
                                         host_.loop.deadline_in(kUploadTimeout));
  if (!response) {
    const http::RequestFailure& failure = response.error();
    co_return fail(failure.from_body ? failure.error : unreachable(failure.error));
  }
  CO_TRY(const std::string answer,
         co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kBodyTimeout),
                                       http::read_all((*response)->body(), kMaxAnswerBytes),
                                       "the API's answer"));
  const int status = (*response)->head.status;
  if (status < 200 || status >= 300) co_return fail(error_of(status, answer));
  co_return Result<void>();
}

async::Task<Result<std::vector<ReleaseInfo>>> Client::releases(std::string app) {
  CO_TRY(const json::Value answer, co_await call("GET", app_path(app, "/releases"), {}));
  co_return list_of(answer, "releases", release_info_from);
}

async::Task<Result<ReleaseInfo>> Client::release(std::string app, std::int64_t version) {
  const std::string target = app_path(app, fmt::format("/releases/{}", version));
  co_return one_of(co_await call("GET", target, {}), release_info_from);
}

async::Task<Result<ReleaseInfo>> Client::deploy(std::string app, NewRelease release) {
  json::Value body =
      json::object({{"image", release.image}, {"config", model::to_json(release.config)}});
  if (!release.region.empty()) body.set("region", release.region.str());
  if (release.count > 0) body.set("count", release.count);
  co_return one_of(co_await call("POST", app_path(app, "/releases"), std::move(body)),
                   release_info_from);
}

async::Task<Result<std::unique_ptr<EventReader>>> Client::release_events(std::string app,
                                                                         std::int64_t version,
                                                                         std::string after) {
  std::string target = app_path(app, fmt::format("/releases/{}/events", version));
  if (!after.empty()) target += "?after=" + http::percent_encode(after);
  co_return co_await follow(std::move(target));
}

async::Task<Result<std::unique_ptr<EventReader>>> Client::logs(std::string app, LogQuery query) {
  std::string target = app_path(app, fmt::format("/logs?tail={}", query.tail));
  if (query.follow) target += "&follow=1";
  const std::pair<std::string_view, const std::string&> filters[] = {{"machine", query.machine},
                                                                     {"region", query.region},
                                                                     {"search", query.search},
                                                                     {"stream", query.stream},
                                                                     {"since", query.since}};
  for (const auto& [name, value] : filters) {
    if (!value.empty()) target += fmt::format("&{}={}", name, http::percent_encode(value));
  }
  if (query.after) {
    target += "&after=";
    for (const auto& [machine, sequence] : *query.after)
      target += fmt::format("{}:{},", http::percent_encode(machine), sequence);
  }
  co_return co_await follow(std::move(target));
}

}  // namespace perigee::client
