#include "control/egress_api.h"

#include "control/app_api.h"
#include "model/egress.h"

namespace perigee::control {

void EgressApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.answer("GET", "/v1/apps/{app}/egress", guard,
               [this](api::Call& call) { return show(call); });
  table.answer("PUT", "/v1/apps/{app}/egress", guard,
               [this](api::Call& call) { return replace(call); });
}

async::Task<Result<api::Reply>> EgressApi::show(api::Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const Stored<model::App> app, context_.desired.app(name));
  co_return api::Reply{200, model::to_json(app.value.egress)};
}

async::Task<Result<api::Reply>> EgressApi::replace(api::Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY_AS(model::EgressPolicy egress, model::egress_policy_from(call.body), "egress");
  CO_TRY(Stored<model::App> app, context_.desired.app(name));
  app.value.egress = std::move(egress);
  store::Transaction transaction;
  put(transaction, app.value, app.revision);
  CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)),
                 fmt::format("egress of app \"{}\"", name));
  co_return api::Reply{200, model::to_json(app.value.egress)};
}

}  // namespace perigee::control
