#include "image/web.h"

#include <curl/curl.h>

#include <memory>
#include <optional>

#include "base/text.h"
#include "image/limits.h"

namespace perigee::image {
namespace {

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
using List = std::unique_ptr<curl_slist, FreeList>;

// What curl's callbacks work on.
struct Transfer {
  CURL* easy = nullptr;
  const WebRequest& request;
  const WebSink& sink;
  const CancelFlag& cancel;
  WebReply reply = {};
  std::uint64_t received = 0;
  std::optional<Error> error = std::nullopt;
};

long status_of(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

Result<void> take(Transfer& transfer, std::string_view data) {
  TRY_VOID(check_cancelled(transfer.cancel));
  const long status = status_of(transfer.easy);
  if (status < 200 || status > 299) {
    std::string& body = transfer.reply.error_body;
    body += data.substr(0, kMaxErrorBytes - std::min(kMaxErrorBytes, body.size()));
    return {};
  }
  transfer.received += data.size();
  if (transfer.received > transfer.request.max_bytes) {
    return fail(Code::data_loss, "it sends more than the {} bytes that were announced or allowed",
                transfer.request.max_bytes);
  }
  return transfer.sink(data);
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* transfer_pointer) {
  auto& transfer = *static_cast<Transfer*>(transfer_pointer);
  auto taken = take(transfer, {data, size});
  if (taken) return size;
  transfer.error = std::move(taken).error();
  return size == 0 ? 1 : 0;  // anything but `size` ends the transfer
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* transfer_pointer) {
  auto& transfer = *static_cast<Transfer*>(transfer_pointer);
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) transfer.reply.challenges.clear();  // another answer begins
  const auto parts = split_once(line, ':');
  constexpr std::size_t kMaxChallenges = 8;
  if (parts && iequals(parts->first, "www-authenticate") &&
      transfer.reply.challenges.size() < kMaxChallenges) {
    transfer.reply.challenges.emplace_back(trim(parts->second));
  }
  return size;
}

int on_progress(void* transfer_pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<const Transfer*>(transfer_pointer);
  return check_cancelled(transfer.cancel) ? 0 : 1;
}

Code code_of(CURLcode status) {
  switch (status) {
    case CURLE_OPERATION_TIMEDOUT:
      return Code::deadline_exceeded;
    case CURLE_ABORTED_BY_CALLBACK:
      return Code::cancelled;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return Code::data_loss;
    case CURLE_PEER_FAILED_VERIFICATION:
      return Code::permission_denied;
    case CURLE_OUT_OF_MEMORY:
      return Code::resource_exhausted;
    default:
      return Code::unavailable;
  }
}

List headers_of(const WebRequest& request) {
  curl_slist* list = nullptr;
  if (!request.accept.empty()) {
    list = curl_slist_append(list, ("Accept: " + request.accept).c_str());
  }
  if (!request.authorization.empty()) {
    // curl itself leaves this one out after a redirect to another host, port or scheme.
    list = curl_slist_append(list, ("Authorization: " + request.authorization).c_str());
  }
  return List(list);
}

void set_bounds(CURL* easy, const WebRequest& request) {
  const char* schemes = request.schemes == Schemes::http_too ? "http,https" : "https";
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, schemes);
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, request.timeout_seconds);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  if (request.proxy == Proxy::none) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
}

void set_callbacks(CURL* easy, Transfer& transfer) {
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
}

std::string_view host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme != url.npos) url.remove_prefix(scheme + 3);
  return url.substr(0, url.find('/'));
}

}  // namespace

Result<WebReply> web_get(const WebRequest& request, const WebSink& sink, const CancelFlag& cancel) {
  static const CURLcode kInitialised = curl_global_init(CURL_GLOBAL_DEFAULT);  // once, guarded
  const Easy easy(kInitialised == CURLE_OK ? curl_easy_init() : nullptr);
  if (!easy) return fail(Code::internal, "libcurl could not be initialised");
  Transfer transfer{.easy = easy.get(), .request = request, .sink = sink, .cancel = cancel};
  const List headers = headers_of(request);
  char words[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(easy.get(), CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy.get(), CURLOPT_USERAGENT, "perigee");
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, words);
  curl_easy_setopt(easy.get(), CURLOPT_BUFFERSIZE, static_cast<long>(kChunkBytes));
  set_bounds(easy.get(), request);
  set_callbacks(easy.get(), transfer);
  const CURLcode status = curl_easy_perform(easy.get());
  if (transfer.error) {
    return fail(std::move(*transfer.error).with(std::string(host_of(request.url))));
  }
  if (status != CURLE_OK) {
    return fail(code_of(status), "{}: {}", host_of(request.url),
                words[0] != '\0' ? words : curl_easy_strerror(status));
  }
  transfer.reply.status = status_of(easy.get());
  return std::move(transfer.reply);
}

}  // namespace perigee::image
