// TlsNetwork: a Network whose connections speak TLS to servers of one name, so that http::Client
// and everything above it work between nodes as they do on a Unix socket.
#pragma once

#include <string>

#include "async/loop.h"
#include "crypto/tls.h"
#include "sys/network.h"

namespace perigee::link {

class TlsNetwork : public sys::Network {
 public:
  // Both outlive this.
  TlsNetwork(async::Loop& loop, sys::Network& below, crypto::TlsClient& tls,
             std::string server_name)
      : loop_(loop), below_(below), tls_(tls), server_name_(std::move(server_name)) {}

  async::Task<Result<std::unique_ptr<sys::Stream>>> connect(sys::Address to,
                                                            Deadline deadline) override;
  // Not what this is for: passed to the network below, without TLS.
  Result<std::unique_ptr<sys::Listener>> listen(const sys::Address& at) override {
    return below_.listen(at);
  }
  Result<std::unique_ptr<sys::Datagrams>> open_datagrams(const sys::Address& at,
                                                         sys::Binding binding) override {
    return below_.open_datagrams(at, binding);
  }
  Result<std::unique_ptr<sys::Stream>> open_pipe(const std::string& path) override {
    return below_.open_pipe(path);
  }

 private:
  async::Loop& loop_;
  sys::Network& below_;
  crypto::TlsClient& tls_;
  std::string server_name_;
};

}  // namespace perigee::link
