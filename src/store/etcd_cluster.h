// EtcdCluster: real etcd members on free loopback ports, for tests. They end with it, and with the
// test should that be killed.
//
//   EtcdCluster cluster(host, {.members = 3});
//   cluster.signal(*cluster.leader(), SIGKILL);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/etcd_client.h"
#include "sys/posix_host.h"

namespace perigee::store {

class EtcdCluster {
 public:
  struct Options {
    std::size_t members = 1;
    enum class Tls { no, with_client_certificates } tls = Tls::no;
  };
  // The program: $PERIGEE_ETCD, or `etcd` of PATH; nullopt: the tests that need it are skipped.
  static std::optional<std::string> program();

  EtcdCluster(sys::PosixHost& host, Options options);
  ~EtcdCluster();

  EtcdOptions options(std::string prefix) const;
  std::size_t size() const { return members_.size(); }
  void start(std::size_t member);
  void signal(std::size_t member, int number);  // SIGKILL is waited for
  std::optional<std::size_t> leader();          // as the members that run see it
  void await_leader();
  // A call that must succeed, as etcd's administrator.
  std::string call(const std::string& path, const std::string& body);

 private:
  struct Member {
    std::string name;
    int client_port = 0;
    int peer_port = 0;
    std::unique_ptr<sys::Process> process;
    enum class State { down, running, stopped } state = State::down;
  };
  void kill(Member& member);
  std::string client_url(const Member& member) const;
  std::string initial_cluster() const;
  void make_certificates();
  void run(std::vector<std::string> argv);

  sys::PosixHost& host_;
  Options asked_;
  std::string directory_;
  std::vector<Member> members_;
};

}  // namespace perigee::store
