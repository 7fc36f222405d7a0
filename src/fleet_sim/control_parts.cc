#include "fleet_sim/control_parts.h"

#include "base/check.h"
#include "fleet_sim/layout.h"

namespace perigee::fleet_sim {

ControlFiles ControlFiles::create(sim::Simulation& simulation, sys::Host& host) {
  ControlFiles out;
  PERIGEE_CHECK(simulation.run(secrets::KeyFile::ensure(host, "/keys.json")).has_value());
  auto keys = simulation.run(secrets::KeyFile::open(host, "/keys.json"));
  PERIGEE_CHECK(keys.has_value());
  out.keys = *std::move(keys);
  auto certificates =
      simulation.run(control::Certificates::open(host, *out.keys, "/ca.pem", "/ca.key"));
  PERIGEE_CHECK(certificates.has_value());
  out.certificates = *std::move(certificates);
  return out;
}

async::Task<Result<model::ImageRef>> ControlParts::NoImages::resolve(std::string, image::Login) {
  co_return model::ImageRef{};
}
async::Task<Result<bool>> ControlParts::NoImages::has_blob(std::string) {
  co_return false;
}
async::Task<Result<std::vector<std::string>>> ControlParts::NoImages::missing_blobs(std::string) {
  co_return std::vector<std::string>();
}
async::Task<Result<void>> ControlParts::NoImages::put_blob(std::string, http::Body&) {
  co_return Result<void>();
}
async::Task<Result<std::unique_ptr<http::Body>>> ControlParts::NoImages::open_blob(std::string) {
  co_return fail(Code::not_found, "no blobs here");
}

ControlParts::ControlParts(sys::Host& host, store::Store& store, ControlFiles& files,
                           std::string epoch)
    : host_(host),
      desired_(host.loop, store, changes_),
      publisher_(host.loop, desired_, observed_, drains_, *files.keys, changes_, std::move(epoch),
                 kDomain),
      key_sharing_(peers_, *files.keys, *files.certificates),
      context_{host,    desired_, observed_, changes_.notify(),      publisher_,  sharing_,
               images_, worker_,  routers_,  *files.certificates,    *files.keys, key_sharing_,
               loads_,  drains_,  refusals_, control::kAutostopIdle, {},          {}},
      server_(host, endpoint_, {}),
      tasks_(host.loop) {
  const api::Guard anybody = [](const http::Request&) { return Result<void>(); };
  routes_.stream("GET", "/internal/v1/feed/routes", anybody,
                 [this](api::Call& call, auto& response) { return routes_feed(call, response); });
  routes_.stream("GET", "/internal/v1/feed/node/{node}", anybody,
                 [this](api::Call& call, auto& response) { return node_feed(call, response); });
  routes_.answer(
      "POST", "/internal/v1/routers/{router}/loads", anybody,
      [](api::Call&) -> async::Task<Result<api::Reply>> { co_return api::Reply{204, {}}; });
}

void ControlParts::start_working() {
  tasks_.spawn(publisher_.run());
  tasks_.spawn(observed_.expire());
  tasks_.spawn(scale_.run());
  tasks_.spawn(releases_.run());
  tasks_.spawn(autostopper_.run());
  tasks_.spawn(scheduler_.run());
  tasks_.spawn(housekeeping_.tend_machines());
}

Result<void> ControlParts::start_serving(const sys::Address& at) {
  TRY(auto listener, host_.network.listen(at));
  tasks_.spawn(server_.serve(std::move(listener)));
  return {};
}

// As control's internal API has it (control/internal_api.cc), without asking who calls.
async::Task<Result<void>> ControlParts::routes_feed(api::Call& call,
                                                    http::ResponseWriter& response) {
  CO_TRY_VOID(
      co_await response.start(api::response_head(call.request, 200, "application/x-ndjson")));
  co_await publisher_.settled();
  co_return co_await publisher_.routes().serve(call.query("from").value_or(""), response);
}

async::Task<Result<void>> ControlParts::node_feed(api::Call& call, http::ResponseWriter& response) {
  CO_TRY_VOID(
      co_await response.start(api::response_head(call.request, 200, "application/x-ndjson")));
  co_await publisher_.settled();
  control::Feed& feed = publisher_.node(NodeId(call.param("node")));
  co_return co_await feed.serve(call.query("from").value_or(""), response);
}

}  // namespace perigee::fleet_sim
