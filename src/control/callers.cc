#include "control/callers.h"

namespace perigee::control {

Result<api::Caller> Callers::known(const http::Request& request) const {
  TRY(api::Caller caller, api::caller_of(request, users_));
  if (!caller.node) return caller;
  const auto found = desired_.nodes().find(*caller.node);
  const bool admitted = found != desired_.nodes().end() && found->second.value.membership &&
                        found->second.value.membership->is_its(caller.certificate);
  if (!admitted) {
    return fail(Code::permission_denied,
                "node {} is not of this fleet any more (or has joined again since): have it join "
                "with a new token",
                *caller.node);
  }
  return caller;
}

api::Guard Callers::daemons() const {
  return [this](const http::Request& request) -> Result<void> {
    TRY(const api::Caller caller, known(request));
    if (!caller.is_router) return {};
    return fail(Code::permission_denied, "a router may not call this");
  };
}

api::Guard Callers::daemons_and_routers() const {
  return [this](const http::Request& request) -> Result<void> {
    TRY([[maybe_unused]] const api::Caller caller, known(request));
    return {};
  };
}

api::Guard Callers::local_daemons() const {
  return [this](const http::Request& request) -> Result<void> {
    TRY(const api::Caller caller, api::caller_of(request, users_));
    if (!caller.node && !caller.is_router) return {};
    return fail(Code::permission_denied, "this is for the daemons of control's own node");
  };
}

api::Guard Callers::controls() const {
  return [this](const http::Request& request) -> Result<void> {
    TRY(const api::Caller caller, known(request));
    if (caller.node && !caller.is_router &&
        desired_.nodes().at(*caller.node).value.membership->runs("control"))
      return {};
    return fail(Code::permission_denied, "this is for nodes with control");
  };
}

Result<void> Callers::check_speaks_for(const http::Request& request, const NodeId& node) const {
  TRY(const api::Caller caller, api::caller_of(request, users_));
  if (!caller.node || *caller.node == node) return {};
  return fail(Code::permission_denied, "node {} may not speak for node {}", *caller.node, node);
}

Result<Callers::Hand> Callers::hand_of(const http::Request& report, const NodeId& node) const {
  const Result<void> itself = check_speaks_for(report, node);
  if (itself) return Hand::first;
  TRY(const api::Caller caller, known(report));
  const auto& membership = desired_.nodes().at(*caller.node).value.membership;
  if (membership->runs("control") && !caller.is_router) return Hand::second;
  return fail(itself.error());
}

}  // namespace perigee::control
