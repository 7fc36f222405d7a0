#include "api/caller.h"

namespace perigee::api {

Result<Caller> caller_of(const http::Request& request, const LocalUsers& users) {
  if (!request.peer_uid) {
    return fail(Code::permission_denied, "this path is for a Unix socket's peers");
  }
  const std::uint32_t uid = *request.peer_uid;
  const http::Headers& headers = request.head.headers;
  const std::string_view* node = headers.find(kNodeHeader);
  const std::string_view* caller = headers.find(kCallerHeader);
  if (node == nullptr) {
    const bool for_router = caller != nullptr && *caller == "router";
    if (uid == 0 || uid == users.own)
      return Caller{.is_router = for_router, .node = {}, .certificate = {}};
    if (uid == users.router) return Caller{.is_router = true, .node = {}, .certificate = {}};
    return fail(Code::permission_denied, "user id {} may not call this", uid);
  }
  if (uid != 0 && uid != users.own) {
    return fail(Code::permission_denied, "user id {} may not speak for another node", uid);
  }
  const std::string_view* certificate = headers.find(kCertificateHeader);
  if (certificate == nullptr || caller == nullptr) {
    return fail(Code::permission_denied, "a call of node {} without its certificate", *node);
  }
  return Caller{.is_router = *caller != "daemon",
                .node = NodeId(std::string(*node)),
                .certificate = std::string(*certificate)};
}

}  // namespace perigee::api
