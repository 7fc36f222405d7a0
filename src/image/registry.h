// Registry: a client of the distribution API (OCI distribution specification 1.1, Docker Registry
// HTTP API V2) for one repository; pulls only. Blocking, for pool threads; each thread has its own
// copy, which starts with the credentials that the copied one had found out.
//
// Plain http to registries on this machine, https to all others. Private to the image module.
#pragma once

#include <string>

#include "base/result.h"
#include "image/image.h"
#include "image/source.h"
#include "image/web.h"

namespace perigee::image {

class Registry {
 public:
  // `credentials`: base64 of user:password, or empty.
  Registry(std::string registry, std::string repository, std::string credentials,
           CancelFlag cancel);

  // The text of a manifest or index by tag or digest; verified where it is a digest.
  Result<std::string> manifest(const std::string& tag_or_digest);
  // `size` bytes at most go to `sink`, which verifies them.
  Result<void> blob(const std::string& digest, std::uint64_t size, const WebSink& sink);

 private:
  Result<void> get(const WebRequest& request, const WebSink& sink);
  Result<WebReply> ask(WebRequest request, const WebSink& sink);
  Result<void> authorize(const WebReply& refusal);
  Result<std::string> get_token(const std::string& url);
  Error refusal(const WebReply& reply) const;

  std::string registry_;
  std::string repository_;
  std::string base_url_;
  std::string credentials_;
  std::string authorization_;  // "Bearer …" or "Basic …", once known
  Schemes schemes_;
  Proxy proxy_;
  CancelFlag cancel_;
};

// Whether `registry` ("host:port") is on this machine.
bool is_loopback_registry(std::string_view registry);
// From docker's configuration of the user this process runs as; empty: none.
Result<std::string> stored_credentials(std::string_view registry);

}  // namespace perigee::image
