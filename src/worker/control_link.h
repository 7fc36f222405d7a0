// ControlLink: the worker's line to control: desired state in, reports out. HttpControlLink speaks
// the internal API over control.sock; tests have one of their own.
#pragma once

#include <string>

#include "async/task.h"
#include "base/result.h"
#include "http/client.h"
#include "model/types.h"
#include "sys/host.h"
#include "worker/feed.h"

namespace perigee::worker {

class ControlLink {
 public:
  virtual ~ControlLink() = default;
  // Follows this node's feed for ever, through every loss of the connection.
  virtual async::Task<void> follow(FeedSink& sink) = 0;
  virtual async::Task<Result<void>> report(model::NodeReport report) = 0;
};

class HttpControlLink : public ControlLink {
 public:
  // `address`: control.sock.
  HttpControlLink(sys::Host& host, sys::Address address, NodeId node);
  async::Task<void> follow(FeedSink& sink) override;
  async::Task<Result<void>> report(model::NodeReport report) override;

 private:
  sys::Host& host_;
  sys::Address address_;
  NodeId node_;
  http::Client client_;
};

}  // namespace perigee::worker
