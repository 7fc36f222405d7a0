// Client: gets a certificate from an authority by ACME (RFC 8555).
//
//   CO_TRY(std::string chain_pem, co_await client.order(order, prover, deadline));
//
// The authority asks the host a question; the Prover has every router answer it before the
// authority is told to ask. Nothing is kept: account and certificate are whose order it is.
#pragma once

#include <string>

#include "async/task.h"
#include "base/result.h"
#include "base/time.h"
#include "model/route_certificate.h"

namespace perigee::acme {

struct Order {
  std::string host;
  std::string request_pem;  // PKCS #10, for the host
  std::string account_key;  // PEM; an account is made where the authority knows none of it
  model::ChallengeType challenge = model::ChallengeType::http_01;
};

class Prover {
 public:
  virtual ~Prover() = default;
  // Returns when routers answer so; an error ends the order.
  virtual async::Task<Result<void>> prove(model::RouteChallenge challenge) = 0;
};

class Client {
 public:
  virtual ~Client() = default;
  // The chain as PEM, leaf first. An error holds what the authority says.
  virtual async::Task<Result<std::string>> order(Order order, Prover& prover,
                                                 Deadline deadline) = 0;
};

}  // namespace perigee::acme
