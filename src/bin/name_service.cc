#include "bin/name_service.h"

namespace perigee::bin {
namespace {

constexpr std::uint16_t kDns = 53;
constexpr int kBacklog = 64;

}  // namespace

Result<std::unique_ptr<NameService>> NameService::open(sys::PosixHost& host,
                                                       const std::string& gateway) {
  TRY(const sys::Address at, sys::Address::ip(gateway, kDns));
  TRY(auto datagrams, host.host().network.open_datagrams(at, sys::Binding::coming));
  TRY(sys::Fd fd, sys::listen_socket(at, kBacklog, sys::Binding::coming));
  TRY(auto streams, host.adopt_listener(std::move(fd)));
  return std::unique_ptr<NameService>(
      new NameService(host, std::move(datagrams), std::move(streams)));
}

void NameService::serve(async::TaskGroup& group, const worker::Worker& worker,
                        const std::vector<std::string>& resolvers) {
  std::vector<sys::Address> addresses;
  for (const std::string& resolver : resolvers) {
    if (auto address = sys::Address::ip(resolver, kDns)) addresses.push_back(*address);
  }
  server_ = std::make_unique<dns::Server>(
      host_.host(),
      [this](const sys::Address& at) {
        return host_.host().network.open_datagrams(at, sys::Binding::present);
      },
      [&worker](const std::string& address) { return worker.name_client(address); },
      std::move(addresses));
  group.spawn(server_->serve_datagrams(*datagrams_));
  group.spawn(server_->serve_streams(*streams_));
}

}  // namespace perigee::bin
