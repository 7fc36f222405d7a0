// The public API's hosts of apps and their certificates: /v1/apps/{app}/certificates (docs/api.md,
// docs/certificates.md). Keys come in and never go out.
#pragma once

#include <string>

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class CertificateApi {
 public:
  // `domain`: apps are at <app>.<domain>; nobody else may have a host below it.
  CertificateApi(const Context& context, std::string domain)
      : context_(context), domain_(std::move(domain)) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  enum class Part { all, acme, custom };
  async::Task<Result<api::Reply>> list(api::Call& call);
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> add_automatic(api::Call& call);
  async::Task<Result<api::Reply>> import(api::Call& call);
  async::Task<Result<api::Reply>> check(api::Call& call);
  async::Task<Result<api::Reply>> remove(api::Call& call, Part part);

  Result<std::string> host_in(const std::string& text) const;
  Result<Stored<HostRecord>> known_host(api::Call& call) const;
  Result<Stored<HostRecord>> claim(const AppName& app, const std::string& host) const;
  async::Task<Result<api::Reply>> write(AppName app, Stored<HostRecord> host, int status);
  json::Value view(const HostRecord& record) const;
  json::Value dns_records(const HostRecord& record) const;

  const Context& context_;
  std::string domain_;
};

}  // namespace perigee::control
