// EtcdStore: the Store of a fleet with several control nodes, in etcd 3.4 or newer, by way of its
// JSON gateway.
//
// Owned by control, used on its loop. Calls find a member that answers (etcd_client.h), commits are
// done exactly once (etcd_commit.h), watches resume at another member where they broke off
// (etcd_watch.h). A commit whose caller went away is carried out all the same.
//
//   CO_TRY(auto store, co_await EtcdStore::open(host, options));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "store/etcd_commit.h"
#include "store/store.h"
#include "sys/host.h"

namespace perigee::store {

class EtcdStore : public Store {
 public:
  // Makes the store under the prefix where there is none yet.
  static async::Task<Result<std::unique_ptr<EtcdStore>>> open(sys::Host& host, EtcdOptions options);
  async::Task<Result<std::optional<Entry>>> get(std::string key) override;
  async::Task<Result<Listing>> list(std::string prefix) override;
  async::Task<Result<Revision>> commit(Transaction transaction) override;
  Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after) override;

 private:
  struct Pending;
  EtcdStore(sys::Host& host, std::unique_ptr<etcd::EtcdClient> client, etcd::EtcdKeys keys);
  static async::Task<Result<Revision>> find_base(etcd::EtcdClient& client, etcd::EtcdKeys& keys);
  static async::Task<void> carry_out(EtcdStore& store, std::shared_ptr<Pending> pending);
  async::Task<Result<etcd::RangeAnswer>> range(etcd::RangeQuery query);
  async::Task<Result<Listing>> list_once(std::string prefix);

  sys::Host& host_;
  std::unique_ptr<etcd::EtcdClient> client_;
  etcd::EtcdKeys keys_;
  std::string process_;  // unique to this object: its markers' folder
  std::uint64_t commits_made_ = 0;
  std::vector<etcd::Marker> free_slots_;
  async::Semaphore slots_;
  async::TaskGroup commits_;
  async::TaskGroup compactor_;
};

}  // namespace perigee::store
