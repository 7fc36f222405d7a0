// CertificateOrder: one order for a certificate by ACME: the host's record in the store says what
// has been tried, has routers answer the authority's question, and in the end holds what was got.
//
//   CertificateOrder order(context, "www.example.com", next);
//   const Result<void> done = co_await order.run();
//
// Made by CertificateRenewer, on control's loop. Where the host is given up meanwhile, or this
// control leads the task no more, it ends without a trace.
#pragma once

#include <functional>
#include <string>

#include "control/context.h"

namespace perigee::control {

secrets::Place acme_account_place();

class CertificateOrder : private acme::Prover {
 public:
  CertificateOrder(const Context& context, std::string host, NextOrder order)
      : context_(context), host_(std::move(host)), order_(order) {}
  // The error is in the record, too.
  async::Task<Result<void>> run();

 private:
  using Change = std::function<void(HostRecord&)>;
  async::Task<Result<void>> update(Change change);
  async::Task<Result<HostCertificate>> obtain();
  async::Task<Result<std::string>> account_key();
  async::Task<Result<void>> make_account();
  async::Task<Result<void>> prove(model::RouteChallenge challenge) override;
  async::Task<bool> routers_have_followed(RouteMarks marks);

  const Context& context_;
  std::string host_;
  NextOrder order_;
};

}  // namespace perigee::control
