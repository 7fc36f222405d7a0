#include "http2/app_client.h"

#include <algorithm>

namespace perigee::http2 {
namespace {

bool usable(const Connection& link) {
  return !link.lost() && !link.going_away();
}

std::size_t room(const Connection& link) {
  return link.max_streams() - std::min(link.max_streams(), link.streams());
}

// The one with the most room; null: none takes requests.
std::shared_ptr<Connection> roomiest(const std::vector<std::shared_ptr<Connection>>& links) {
  std::shared_ptr<Connection> best;
  for (const auto& each : links) {
    if (usable(*each) && (best == nullptr || room(*each) > room(*best))) best = each;
  }
  return best;
}

}  // namespace

AppClient::AppClient(sys::Host& host, http::ClientLimits limits)
    : host_(host), limits_(limits), tasks_(host.loop) {
  tasks_.spawn(sweep());
}

AppClient::AppPtr AppClient::app_at(const sys::Address& to) {
  AppPtr& app = apps_[to.str()];
  if (app == nullptr) app = std::make_shared<App>(host_.loop);
  return app;
}

async::Task<Forwarded> AppClient::forward(sys::Address to, http::RequestHead head, http::Body* body,
                                          Deadline deadline) {
  Deadline connect_by = deadline;
  connect_by.at = std::min(connect_by.at, host_.loop.now() + limits_.connect_timeout);
  auto link = co_await connection(app_at(to), to, connect_by);
  if (!link) co_return std::unexpected(http::RequestFailure{.error = std::move(link).error()});
  auto response = co_await http2::forward(*std::move(link), std::move(head), body, deadline);
  if (response) {
    (*response)->head.major_version = 2;
    (*response)->head.minor_version = 0;
  }
  co_return response;
}

async::Task<Result<AppClient::ConnectionPtr>> AppClient::connection(AppPtr app, sys::Address to,
                                                                    Deadline deadline) {
  const std::uint64_t failures = app->failures;
  for (;;) {
    ConnectionPtr best = roomiest(app->links);
    const bool full = best == nullptr || room(*best) == 0;
    if (!full || (best != nullptr && app->links.size() >= kMaxConnectionsPerApp)) {
      co_return std::move(best);
    }
    if (!app->dialing) {
      auto made = co_await dial(app, to, deadline);
      if (!made && best != nullptr) co_return std::move(best);
      co_return made;
    }
    co_await app->changed.wait();
    if (app->failures != failures) co_return fail(*app->last_failure);
  }
}

async::Task<Result<AppClient::ConnectionPtr>> AppClient::dial(AppPtr app, sys::Address to,
                                                              Deadline deadline) {
  struct Dialing {
    App& app;
    explicit Dialing(App& a) : app(a) { app.dialing = true; }
    ~Dialing() {
      app.dialing = false;
      app.changed.notify_all();
    }
  };
  const Dialing dialing(*app);
  auto stream = co_await host_.network.connect(to, deadline);
  if (!stream) {
    ++app->failures;
    app->last_failure = stream.error();
    co_return fail(std::move(stream).error());
  }
  auto link = std::make_shared<Connection>(host_.loop, *std::move(stream), Role::client,
                                           std::string(), Terms{.limits = kToApps});
  app->links.push_back(link);
  tasks_.spawn(run_link(app, link));
  co_return link;
}

async::Task<void> AppClient::run_link(AppPtr app, ConnectionPtr link) {
  co_await link->run();
  std::erase(app->links, link);
}

// Connections that nobody uses end; addresses without any are forgotten.
async::Task<void> AppClient::sweep() {
  for (;;) {
    co_await host_.loop.sleep(limits_.idle_timeout / 2);
    for (const auto& [address, app] : apps_) {
      for (const ConnectionPtr& link : app->links) {
        if (usable(*link) && link->idle() >= limits_.idle_timeout) tasks_.spawn(retire(link));
      }
    }
    std::erase_if(apps_, [](const auto& each) {
      return each.second->links.empty() && !each.second->dialing;
    });
  }
}

async::Task<void> AppClient::retire(ConnectionPtr link) {
  co_await link->drain();
}

void AppClient::forget(const sys::Address& to) {
  const auto found = apps_.find(to.str());
  if (found == apps_.end()) return;
  const AppPtr app = found->second;
  apps_.erase(found);
  for (const ConnectionPtr& link : app->links) tasks_.spawn(retire(link));
}

std::size_t AppClient::connections() const {
  std::size_t total = 0;
  for (const auto& [address, app] : apps_) total += app->links.size();
  return total;
}

}  // namespace perigee::http2
