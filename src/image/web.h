// One bounded HTTP GET, blocking: what the registry client is made of. libcurl is seen by web.cc
// alone. Private to the image module.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/source.h"

namespace perigee::image {

enum class Schemes { https_only, http_too };  // of redirects as well
enum class Proxy { by_environment, none };

struct WebRequest {
  std::string url;
  std::string accept;
  std::string authorization;  // sent to this host alone, not where it redirects to
  Schemes schemes = Schemes::https_only;
  Proxy proxy = Proxy::by_environment;
  std::uint64_t max_bytes = 0;
  long timeout_seconds = 0;
};

struct WebReply {
  long status = 0;
  std::string error_body;               // the beginning of a body that is not success
  std::vector<std::string> challenges;  // WWW-Authenticate
};

// Takes the body of a successful answer piece by piece; its error ends the transfer.
using WebSink = std::function<Result<void>(std::string_view)>;

// An answer of any status is no error here. Errors name the host.
Result<WebReply> web_get(const WebRequest& request, const WebSink& sink, const CancelFlag& cancel);

}  // namespace perigee::image
