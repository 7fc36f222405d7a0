#include "fixture.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <utility>

#include "sys/netlink.h"
#include "sys/procfs.h"

namespace perigee::mesh::e2e {
namespace {

constexpr int kPatienceMs = 10'000;

sys::Fd open_namespace() {
  return sys::Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

void must(bool done, const std::string& what) {
  if (!done) FAIL(what << ": " << std::strerror(errno));
}

sys::Address address_of(const std::string& host, std::uint16_t port) {
  return *sys::Address::ip(host, port);
}

void set_patience(const sys::Fd& fd, Duration patience) {
  const std::int64_t ms = to_ms(patience);
  const timeval value{.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);  // of connect(2) too
}

sys::Fd open_socket(const Namespace& network, int family, int type) {
  sys::Fd fd;
  network.within([&] { fd = sys::Fd(::socket(family, type | SOCK_CLOEXEC, 0)); });
  must(fd.valid(), "socket");
  set_patience(fd, std::chrono::milliseconds(kPatienceMs));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd;
}

void bind_to(const sys::Fd& fd, const sys::Address& address) {
  must(::bind(fd.get(), address.raw(), address.raw_size()) == 0, "bind " + address.str());
}

void echo(const sys::Fd& connection) {
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t n = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
    if (n <= 0) return;
    if (::send(connection.get(), buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n)
      return;
  }
}

void send_all(const sys::Fd& connection, const std::string& data) {
  std::size_t sent = 0;
  while (sent < data.size()) {
    const ssize_t n =
        ::send(connection.get(), data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += static_cast<std::size_t>(n);
  }
  ::shutdown(connection.get(), SHUT_WR);
}

async::Task<void> serve(Keeper& keeper, async::Event& stop, async::Loop& loop) {
  async::TaskGroup group(loop);
  group.spawn(Keeper::run(keeper));
  co_await stop.wait();
}

template <typename T>
async::Task<void> deliver(async::Task<T> work, std::promise<T>& into) {
  into.set_value(co_await std::move(work));
}

// Kept by its caller until it is done.
struct Posted {
  async::Task<void> task;
};

}  // namespace

std::string obstacle() {
  namespace fs = std::filesystem;
  if (::geteuid() != 0) return "needs root (network namespaces)";
  if (!fs::exists("/dev/net/tun")) return "/dev/net/tun is missing (is the tun module loaded?)";
  for (const char* program : {"wireguard-go", "ip", "nft"}) {
    if (!sys::find_program(program)) return std::string(program) + " is missing (tools/setup run)";
  }
  bool possible = false;
  std::thread([&possible] { possible = ::unshare(CLONE_NEWNET) == 0; }).join();
  return possible ? "" : "can't make a network namespace";
}

// ---- namespaces ----

// SAFETY: a thread of its own enters the new namespace; ours stays where it is.
Namespace::Namespace() {
  std::thread([this] {
    if (::unshare(CLONE_NEWNET) == 0) fd_ = open_namespace();
  }).join();
  REQUIRE(fd_.valid());
  command("ip link set lo up");
}

void Namespace::within(const std::function<void()>& work) const {
  const sys::Fd home = open_namespace();
  must(::setns(fd_.get(), CLONE_NEWNET) == 0, "enter a namespace");
  work();
  must(::setns(home.get(), CLONE_NEWNET) == 0, "leave a namespace");
}

void Namespace::command(const std::string& line) const {
  int status = -1;
  within([&] { status = std::system(line.c_str()); });  // NOLINT(concurrency-mt-unsafe)
  INFO(line);
  REQUIRE(status == 0);
}

std::string Namespace::path() const {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_.get());
}

void connect(const Namespace& left, const std::string& left_name, const std::string& left_address,
             const Namespace& right, const std::string& right_name,
             const std::string& right_address) {
  left.command(fmt::format("ip link add {} type veth peer name {} netns {}", left_name, right_name,
                           right.path()));
  left.command(fmt::format("ip addr add {} dev {}", left_address, left_name));
  left.command(fmt::format("ip link set {} up", left_name));
  right.command(fmt::format("ip addr add {} dev {}", right_address, right_name));
  right.command(fmt::format("ip link set {} up", right_name));
}

// ---- nodes ----

Folder::Folder() {
  REQUIRE(::mkdtemp(path_.data()) != nullptr);
}
Folder::~Folder() {
  std::filesystem::remove_all(path_);
}

FleetPrefix fleet() {
  return *FleetPrefix::parse("fd12:3456:789a::/48");
}

MeshConfig config_of(int index, PrivateKey key, std::vector<MeshPeer> peers) {
  return {.fleet = fleet(),
          .index = *NodeIndex::make(index),
          .key = std::move(key),
          .peers = std::move(peers)};
}

Node::Node(const Namespace& network, std::string folder, int index)
    : network_(network),
      index_(index),
      key_(*PrivateKey::from_raw(std::string(32, static_cast<char>('A' + index)))),
      options_{.interface = interface_name(fmt::format("{}/{}", folder, index)),
               .log = fmt::format("{}/{}.log", folder, index)} {
  std::promise<void> ready;
  thread_ = std::thread([this, &ready] {
    network_.within([this, &ready] {
      host_ = std::move(*sys::PosixHost::open(1));
      keeper_ = std::make_unique<Keeper>(host_->host(), options_);
      stop_ = std::make_unique<async::Event>(host_->loop());
      ready.set_value();
      host_->loop().run(serve(*keeper_, *stop_, host_->loop()));
      [[maybe_unused]] const auto left = host_->loop().run(keeper_->leave());
      keeper_.reset();
    });
  });
  ready.get_future().wait();
}

Node::~Node() {
  host_->loop().post([this] { stop_->set(); });
  thread_.join();
}

template <typename T>
T Node::call(std::function<async::Task<T>(Keeper&)> work) {
  std::promise<T> promise;
  Posted posted;
  host_->loop().post([&] {
    posted.task = deliver(work(*keeper_), promise);
    posted.task.start();
  });
  T value = promise.get_future().get();
  // The frame belongs to the node's thread: freed there.
  std::promise<void> freed;
  host_->loop().post([&] {
    posted.task = {};
    freed.set_value();
  });
  freed.get_future().wait();
  return value;
}

void Node::apply(std::vector<MeshPeer> peers) {
  const MeshConfig config = config_of(index_, key_, std::move(peers));
  const auto done = call<Result<void>>([config](Keeper& keeper) { return keeper.apply(config); });
  if (!done) FAIL(done.error().context);
}

Status Node::status() {
  const auto status = call<Result<Status>>([](Keeper& keeper) { return keeper.status(); });
  if (!status) FAIL(status.error().context);
  return *status;
}

PeerStatus Node::peer(int index) {
  for (const PeerStatus& each : status().peers) {
    if (each.node.str() == fmt::format("node-{}", index)) return each;
  }
  FAIL("no such peer");
  return {};
}

bool Node::wait_for_contact(int index) {
  for (int i = 0; i < kPatienceMs / 50; ++i) {
    if (peer(index).connected) return true;
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

MeshPeer Node::as_peer(const std::string& endpoint) const {
  MeshPeer peer{.node = NodeId(fmt::format("node-{}", index_)),
                .index = *NodeIndex::make(index_),
                .key = key_.public_key()};
  if (!endpoint.empty()) peer.endpoint = *sys::Address::parse(endpoint);
  return peer;
}

std::string Node::address() const {
  return fleet().node_address(*NodeIndex::make(index_));
}

pid_t Node::process() const {
  return sys::find_process("wireguard-go", options_.interface).value_or(-1);
}

// ---- traffic ----

EchoServer::EchoServer(const Namespace& network, const std::string& address, std::uint16_t port)
    : listener_(open_socket(network, AF_INET6, SOCK_STREAM)) {
  bind_to(listener_, address_of(address, port));
  must(::listen(listener_.get(), 16) == 0, "listen");
  thread_ = std::thread([this] {
    for (;;) {
      const sys::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (connection.valid()) {
        echo(connection);
      } else if (errno != EAGAIN) {
        return;  // shut down
      }
    }
  });
}

EchoServer::~EchoServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

bool exchange(const Namespace& network, const std::string& address, std::uint16_t port,
              const std::string& data, Duration patience) {
  const sys::Fd connection = open_socket(network, AF_INET6, SOCK_STREAM);
  set_patience(connection, patience);
  const sys::Address to = address_of(address, port);
  if (::connect(connection.get(), to.raw(), to.raw_size()) < 0) return false;
  std::thread sender([&] { send_all(connection, data); });
  std::string answer;
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t n = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
    if (n <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(n));
  }
  sender.join();
  return answer == data;
}

sys::Fd udp_socket(const Namespace& network, const std::string& from, const std::string& to,
                   std::uint16_t port) {
  sys::Fd fd = open_socket(network, AF_INET6, SOCK_DGRAM);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on);
  const int probe = IPV6_PMTUDISC_DO;
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe);
  bind_to(fd, address_of(from, 0));
  const sys::Address peer = address_of(to, port);
  must(::connect(fd.get(), peer.raw(), peer.raw_size()) == 0, "connect " + peer.str());
  return fd;
}

sys::Fd udp_receiver(const Namespace& network, const std::string& address, std::uint16_t port) {
  sys::Fd fd = open_socket(network, AF_INET6, SOCK_DGRAM);
  bind_to(fd, address_of(address, port));
  return fd;
}

bool send_datagram(const sys::Fd& socket, int length) {
  const std::string data(static_cast<std::size_t>(length), 'd');
  return ::send(socket.get(), data.data(), data.size(), 0) == length;
}

int receive_length(const sys::Fd& socket) {
  std::array<char, 16 * 1024> buffer;
  return static_cast<int>(::recv(socket.get(), buffer.data(), buffer.size(), 0));
}

Capture::Capture(const Namespace& network, const std::string& interface) {
  network.within([&] {
    fd_ = sys::Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    must(fd_.valid(), "packet socket");
    sockaddr_ll raw{};
    raw.sll_family = AF_PACKET;
    raw.sll_protocol = htons(ETH_P_ALL);
    raw.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    must(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&raw), sizeof raw) == 0, "capture");
  });
  const int size = 64 << 20;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
}

std::string Capture::take() {
  std::string all;
  std::array<char, 65536> frame;
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), frame.data(), frame.size(), 0);
    if (n <= 0) return all;
    all.append(frame.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace perigee::mesh::e2e
