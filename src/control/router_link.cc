#include "control/router_link.h"

#include "api/caller.h"
#include "async/combine.h"
#include "control/limits.h"

namespace perigee::control {

async::Task<Result<json::Value>> RouterLink::ask(NodeId node, std::string target,
                                                 http::Headers headers) {
  http::RequestHead head{
      .method = "GET", .target = std::move(target), .headers = std::move(headers)};
  head.headers.set("Host", "router");
  const bool here = node == sockets_.own;
  if (!here) head.headers.set(api::kToNodeHeader, node.str());
  CO_TRY(const sys::Address address,
         sys::Address::unix_path(here ? sockets_.router : sockets_.link));
  const Deadline deadline = host_.loop.deadline_in(kWorkerTimeout);
  CO_TRY_AS(auto response, co_await client_.request(address, std::move(head), {}, deadline),
            "router on " + node.str());
  CO_TRY(const std::string text,
         co_await async::with_deadline(
             host_.loop, deadline, http::read_all(response->body(), kMaxWorkerAnswer), "router"));
  CO_TRY_AS(json::Value body, json::parse(text), "router on " + node.str());
  if (response->head.status == 200) co_return body;
  const Code code = response->head.status == 404 ? Code::not_found : Code::unavailable;
  co_return fail(code, "router on {}: {}", node,
                 body.optional_string("error").value_or("no reason given"));
}

}  // namespace perigee::control
