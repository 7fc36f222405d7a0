// NameService: the machines' resolver (dns/server.h) on real sockets, at the gateway's address,
// which comes with the first tap and is bound to before. Made by worker_main, before the worker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dns/server.h"
#include "sys/posix_host.h"
#include "worker/worker.h"

namespace perigee::bin {

class NameService {
 public:
  // Where another program has the port this is an error, and machines have no names.
  static Result<std::unique_ptr<NameService>> open(sys::PosixHost& host,
                                                   const std::string& gateway);

  // `resolvers`: of all other names. Both outlive `group`'s tasks.
  void serve(async::TaskGroup& group, const worker::Worker& worker,
             const std::vector<std::string>& resolvers);

 private:
  NameService(sys::PosixHost& host, std::unique_ptr<sys::Datagrams> datagrams,
              std::unique_ptr<sys::Listener> streams)
      : host_(host), datagrams_(std::move(datagrams)), streams_(std::move(streams)) {}

  sys::PosixHost& host_;
  std::unique_ptr<sys::Datagrams> datagrams_;
  std::unique_ptr<sys::Listener> streams_;
  std::unique_ptr<dns::Server> server_;
};

}  // namespace perigee::bin
