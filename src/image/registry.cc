#include "image/registry.h"

#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "image/limits.h"
#include "image/manifest.h"
#include "image/registry_auth.h"
#include "image/temp_file.h"
#include "json/json.h"
#include "sys/address.h"

namespace perigee::image {
namespace {

std::string accepted_manifests() {
  return fmt::format("{}, {}, {}, {}", kOciIndex, kOciManifest, kDockerIndex, kDockerManifest);
}

std::string_view host_only(std::string_view registry) {
  if (registry.starts_with('[')) return registry.substr(0, registry.find(']') + 1);
  return registry.substr(0, registry.find(':'));
}

// The sentence in {"errors": [{"code": …, "message": …}]}, if that is what it is.
std::string detail_of(std::string_view body) {
  const auto doc = json::parse(body);
  if (!doc) return {};
  const json::Value* errors = doc->find("errors");
  if (errors == nullptr || errors->items().empty()) return {};
  const auto message = errors->items().front().optional_string("message");
  return message && !message->empty() ? " (" + message->substr(0, 200) + ")" : "";
}

std::string config_path() {
  if (const char* folder = std::getenv("DOCKER_CONFIG")) {
    return std::string(folder) + "/config.json";
  }
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : std::string(home) + "/.docker/config.json";
}

Result<std::string> read_config(const std::string& path) {
  TRY(const sys::Fd fd, open_for_reading(path));
  FileSource file(fd.get(), path);
  std::string text;
  for (;;) {
    TRY(const std::string_view chunk, file.next());
    if (chunk.empty()) return text;
    text += chunk;
    if (text.size() > kMaxManifestBytes) return fail(Code::resource_exhausted, "it is too large");
  }
}

}  // namespace

bool is_loopback_registry(std::string_view registry) {
  const std::string_view host = host_only(registry);
  if (host == "localhost" || host == "[::1]") return true;
  const auto address = sys::Address::ip(host, 0);
  return address && address->is_loopback();  // a name like 127.example.com is none
}

Result<std::string> stored_credentials(std::string_view registry) {
  const std::string path = config_path();
  if (path.empty()) return std::string();
  auto text = read_config(path);
  if (!text && text.error().code == Code::not_found) return std::string();
  if (!text) return fail(std::move(text).error().with(path));
  TRY_AS(std::string found, find_credentials(*text, registry), path);
  return found;
}

Registry::Registry(std::string registry, std::string repository, std::string credentials,
                   CancelFlag cancel)
    : registry_(std::move(registry)),
      repository_(std::move(repository)),
      credentials_(std::move(credentials)),
      cancel_(std::move(cancel)) {
  const bool local = is_loopback_registry(registry_);
  schemes_ = local ? Schemes::http_too : Schemes::https_only;
  proxy_ = local ? Proxy::none : Proxy::by_environment;
  const std::string host = registry_ == "docker.io" ? "registry-1.docker.io" : registry_;
  base_url_ = fmt::format("{}://{}/v2/{}", local ? "http" : "https", host, repository_);
}

Result<WebReply> Registry::ask(WebRequest request, const WebSink& sink) {
  request.authorization = authorization_;
  request.schemes = schemes_;
  request.proxy = proxy_;
  return web_get(request, sink, cancel_);
}

Result<void> Registry::get(const WebRequest& request, const WebSink& sink) {
  TRY(WebReply reply, ask(request, sink));
  if (reply.status == 401) {
    TRY_VOID(authorize(reply));
    TRY(reply, ask(request, sink));
  }
  if (reply.status >= 200 && reply.status <= 299) return {};
  return fail(refusal(reply));
}

Result<void> Registry::authorize(const WebReply& reply) {
  const auto challenge = choose_challenge(reply.challenges);
  if (!challenge) return fail(refusal(reply));
  if (challenge->kind == Challenge::Kind::basic) {
    if (credentials_.empty()) return fail(refusal(reply));
    authorization_ = "Basic " + credentials_;
    return {};
  }
  TRY(const std::string token, get_token(token_url(*challenge, repository_)));
  authorization_ = "Bearer " + token;
  return {};
}

Result<std::string> Registry::get_token(const std::string& url) {
  WebRequest request{.url = url,
                     .accept = "application/json",
                     .authorization = credentials_.empty() ? "" : "Basic " + credentials_,
                     .schemes = schemes_,
                     .proxy = proxy_,
                     .max_bytes = kMaxTokenBytes,
                     .timeout_seconds = kDocumentTimeoutSeconds};
  std::string body;
  const WebSink sink = [&body](std::string_view data) -> Result<void> {
    body += data;
    return {};
  };
  TRY_AS(const WebReply reply, web_get(request, sink, cancel_), "token service");
  if (reply.status < 200 || reply.status > 299) return fail(refusal(reply));
  return parse_token(body);
}

Error Registry::refusal(const WebReply& reply) const {
  const std::string detail = detail_of(reply.error_body);
  const auto error = [&](Code code, std::string_view words) {
    return Error::make(code, fmt::format("{} {}{}", registry_, words, detail));
  };
  switch (reply.status) {
    case 401:
      return error(Code::unauthenticated,
                   fmt::format("{} {}, or has no such image: check the name, or log in{} with "
                               "`perigee registry login {}`",
                               credentials_.empty() ? "wants a log-in for"
                                                    : "does not take the log-in that it has for",
                               repository_, credentials_.empty() ? "" : " again", registry_));
    case 403:
      return error(Code::permission_denied, "does not let this user pull " + repository_);
    case 404:
      return error(Code::not_found, "has no such image: " + repository_);
    case 429:
      return error(Code::unavailable, "says that too much was asked of it; try again later");
    default:
      break;
  }
  const Code code = reply.status >= 500 ? Code::unavailable : Code::data_loss;
  return error(code, fmt::format("answered with HTTP status {}", reply.status));
}

Result<std::string> Registry::manifest(const std::string& tag_or_digest) {
  std::string text;
  const WebSink sink = [&text](std::string_view data) -> Result<void> {
    text += data;
    return {};
  };
  const WebRequest request{.url = base_url_ + "/manifests/" + tag_or_digest,
                           .accept = accepted_manifests(),
                           .authorization = {},
                           .max_bytes = kMaxManifestBytes,
                           .timeout_seconds = kDocumentTimeoutSeconds};
  TRY_VOID(get(request, sink));
  const std::string digest = "sha256:" + crypto::sha256_hex(text);
  if (parse_digest(tag_or_digest) && digest != tag_or_digest) {
    return fail(Code::data_loss, "{}: the manifest {} that it sends hashes to {}", registry_,
                tag_or_digest, digest);
  }
  return text;
}

Result<void> Registry::blob(const std::string& digest, std::uint64_t size, const WebSink& sink) {
  const WebRequest request{.url = base_url_ + "/blobs/" + digest,
                           .accept = {},
                           .authorization = {},
                           .max_bytes = size,
                           .timeout_seconds = kBlobTimeoutSeconds};
  return get(request, sink);
}

}  // namespace perigee::image
