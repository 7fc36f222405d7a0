// EtcdWatch: a Watch on a stream of etcd's JSON gateway.
//
// A stream that ends, or whose member does not answer a read of the cluster's majority any more
// (stopped, or cut off from the others), is resumed at the next member after the last whole
// revision that was delivered. Used on the store's loop; the store outlives it.
#pragma once

#include <string>

#include "store/etcd_client.h"
#include "store/etcd_keys.h"
#include "store/etcd_watch_decoder.h"
#include "store/store.h"
#include "sys/host.h"

namespace perigee::store::etcd {

class EtcdWatch : public Watch {
 public:
  EtcdWatch(sys::Host& host, EtcdClient& client, const EtcdKeys& keys, std::string prefix,
            Revision after);
  async::Task<Result<std::vector<Change>>> next() override;

 private:
  enum class State { between, in_next };  // calls of next
  async::Task<Result<void>> connect();
  async::Task<Result<void>> receive();
  async::Task<void> read_some(std::optional<Result<std::size_t>>& result);
  async::Task<void> lose_member();
  async::Task<Result<std::vector<Change>>> take_changes();
  async::Task<Result<WatchMessage>> parse(std::string line);
  void disconnect(const Error& why);

  sys::Host& host_;
  EtcdClient& client_;
  const EtcdKeys& keys_;
  std::string prefix_;
  Revision after_;  // etcd's: all up to here has been delivered
  State state_ = State::between;
  std::optional<EtcdClient::Watching> stream_;
  WatchDecoder decoder_;
  std::vector<char> buffer_;
  Duration pause_;
};

}  // namespace perigee::store::etcd
