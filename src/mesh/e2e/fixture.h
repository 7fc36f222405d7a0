// What the mesh's end-to-end tests stand on: network namespaces that nobody else sees, cables
// between them, nodes of a mesh in them, and traffic of plain sockets. All of it goes away with
// the test; wireguard-go processes are ended by their nodes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "async/task_group.h"
#include "mesh/keeper.h"
#include "sys/fd.h"
#include "sys/posix_host.h"

namespace perigee::mesh::e2e {

// Why the tests can't run here; "" when they can.
std::string obstacle();

// A network namespace, there for as long as this is (and what runs in it).
class Namespace {
 public:
  Namespace();
  // Runs `work` with this thread in the namespace.
  void within(const std::function<void()>& work) const;
  // Runs a command of ip(8), nft(8) … in it; fails the test where it fails.
  void command(const std::string& line) const;
  std::string path() const;  // for ip(8)

 private:
  sys::Fd fd_;
};

// A pair of virtual Ethernet interfaces, both up, each with an IPv4 address ("10.9.1.1/24").
void connect(const Namespace& left, const std::string& left_name, const std::string& left_address,
             const Namespace& right, const std::string& right_name,
             const std::string& right_address);

// A node: a keeper on a thread of its own, in a namespace, with run() running.
class Node {
 public:
  Node(const Namespace& network, std::string folder, int index);
  ~Node();  // takes its mesh down

  void apply(std::vector<MeshPeer> peers);
  void change_key(PrivateKey key) { key_ = std::move(key); }
  Status status();
  PeerStatus peer(int index);        // the node's status of another
  bool wait_for_contact(int index);  // within 10 s

  MeshPeer as_peer(const std::string& endpoint) const;  // "": behind NAT
  std::string address() const;
  const PrivateKey& key() const { return key_; }
  const std::string& interface() const { return options_.interface; }
  int index() const { return index_; }
  pid_t process() const;  // of wireguard-go

 private:
  template <typename T>
  T call(std::function<async::Task<T>(Keeper&)> work);

  const Namespace& network_;
  int index_;
  PrivateKey key_;
  DeviceOptions options_;
  std::unique_ptr<sys::PosixHost> host_;
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<async::Event> stop_;
  std::thread thread_;
};

// A scratch folder.
class Folder {
 public:
  Folder();
  ~Folder();
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/perigee-mesh-e2e-XXXXXX";
};

FleetPrefix fleet();
MeshConfig config_of(int index, PrivateKey key, std::vector<MeshPeer> peers);

// ---- traffic ----

// Answers every TCP connection with what it is sent, on a thread of its own.
class EchoServer {
 public:
  EchoServer(const Namespace& network, const std::string& address, std::uint16_t port);
  ~EchoServer();

 private:
  sys::Fd listener_;
  std::thread thread_;
};

// A connection of its own sends `data` and wants it back; false where that fails, or nothing comes
// for as long as `patience`.
bool exchange(const Namespace& network, const std::string& address, std::uint16_t port,
              const std::string& data, Duration patience = 10s);

// A UDP socket, connected, that never fragments.
sys::Fd udp_socket(const Namespace& network, const std::string& from, const std::string& to,
                   std::uint16_t port);
sys::Fd udp_receiver(const Namespace& network, const std::string& address, std::uint16_t port);
bool send_datagram(const sys::Fd& socket, int length);
// The next datagram's length within 5 s; -1 without one.
int receive_length(const sys::Fd& socket);

// Everything that crosses an interface, from now on.
class Capture {
 public:
  Capture(const Namespace& network, const std::string& interface);
  // What has been seen since the last call.
  std::string take();

 private:
  sys::Fd fd_;
};

}  // namespace perigee::mesh::e2e
