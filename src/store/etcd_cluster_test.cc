// EtcdCluster's body: part of the tests' program alone.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include "store/etcd_cluster.h"

namespace perigee::store {
namespace {

constexpr Duration kPatience = 30s;

int free_port() {
  auto fd = sys::listen_socket(*sys::Address::parse("127.0.0.1:0"), 1);
  REQUIRE(fd.has_value());
  sockaddr_storage raw{};
  socklen_t size = sizeof(raw);
  REQUIRE(::getsockname(fd->get(), reinterpret_cast<sockaddr*>(&raw), &size) == 0);
  return sys::Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), size).port();
}

std::string text_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

}  // namespace

std::optional<std::string> EtcdCluster::program() {
  const char* named = ::getenv("PERIGEE_ETCD");
  auto found = sys::find_program(named == nullptr ? "etcd" : named);
  if (found && ::access(found->c_str(), X_OK) == 0) return *found;
  return std::nullopt;
}

EtcdCluster::EtcdCluster(sys::PosixHost& host, Options options) : host_(host), asked_(options) {
  std::string pattern = "/tmp/perigee-etcd-XXXXXX";
  directory_ = ::mkdtemp(pattern.data());
  if (asked_.tls != Options::Tls::no) make_certificates();
  for (std::size_t i = 0; i < asked_.members; ++i)
    members_.push_back({.name = fmt::format("m{}", i),
                        .client_port = free_port(),
                        .peer_port = free_port(),
                        .process = nullptr});
  for (std::size_t i = 0; i < asked_.members; ++i) start(i);
  await_leader();
}

EtcdCluster::~EtcdCluster() {
  for (Member& member : members_) kill(member);
  std::filesystem::remove_all(directory_);
}

std::string EtcdCluster::client_url(const Member& member) const {
  return fmt::format("{}://127.0.0.1:{}", asked_.tls == Options::Tls::no ? "http" : "https",
                     member.client_port);
}

std::string EtcdCluster::initial_cluster() const {
  std::string out;
  for (const Member& member : members_)
    out += fmt::format("{}{}=http://127.0.0.1:{}", out.empty() ? "" : ",", member.name,
                       member.peer_port);
  return out;
}

EtcdOptions EtcdCluster::options(std::string prefix) const {
  EtcdOptions options;
  options.prefix = std::move(prefix);
  for (const Member& member : members_) options.endpoints.push_back(client_url(member));
  if (asked_.tls != Options::Tls::no) {
    options.ca_pem = text_of(directory_ + "/ca.pem");
    options.identity = {text_of(directory_ + "/client.pem"), text_of(directory_ + "/client.key")};
  }
  return options;
}

void EtcdCluster::start(std::size_t index) {
  Member& member = members_[index];
  const std::string peer = fmt::format("http://127.0.0.1:{}", member.peer_port);
  // --pdeathsig: a test that is killed leaves nothing running.
  std::vector<std::string> argv{"setpriv",
                                "--pdeathsig",
                                "KILL",
                                *program(),
                                "--name",
                                member.name,
                                "--data-dir",
                                directory_ + "/" + member.name,
                                "--listen-client-urls",
                                client_url(member),
                                "--advertise-client-urls",
                                client_url(member),
                                "--listen-peer-urls",
                                peer,
                                "--initial-advertise-peer-urls",
                                peer,
                                "--initial-cluster",
                                initial_cluster(),
                                "--heartbeat-interval",
                                "100",
                                "--election-timeout",
                                "1000",
                                "--max-txn-ops",
                                "4200",
                                "--logger",
                                "zap",
                                "--log-level",
                                "error"};
  if (asked_.tls != Options::Tls::no) {
    for (const char* word : {"--client-cert-auth", "--trusted-ca-file"}) argv.emplace_back(word);
    argv.push_back(directory_ + "/ca.pem");
    argv.insert(argv.end(), {"--cert-file", directory_ + "/server.pem", "--key-file",
                             directory_ + "/server.key"});
  }
  const std::string log = directory_ + "/" + member.name + ".log";
  const sys::Fd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  auto process = host_.host().processes.spawn(
      {.argv = std::move(argv), .descriptors = {{output.get(), 1}, {output.get(), 2}}});
  REQUIRE(process.has_value());
  member.process = *std::move(process);
  member.state = Member::State::running;
}

void EtcdCluster::signal(std::size_t index, int number) {
  Member& member = members_[index];
  if (number == SIGKILL) return kill(member);
  REQUIRE(member.state != Member::State::down);
  CHECK(member.process->signal(number).has_value());
  member.state = number == SIGSTOP ? Member::State::stopped : Member::State::running;
}

// Asserts nothing: the cluster that tests share ends after the last of them, when doctest has gone.
void EtcdCluster::kill(Member& member) {
  if (member.state == Member::State::down) return;
  std::ignore = member.process->signal(SIGKILL);
  host_.loop().run(member.process->wait());
  member.process.reset();
  member.state = Member::State::down;
}

std::optional<std::size_t> EtcdCluster::leader() {
  std::optional<std::string> leading;
  std::vector<std::string> ids(members_.size());
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].state != Member::State::running) continue;
    EtcdOptions only = options("/perigee");
    only.endpoints = {client_url(members_[i])};
    auto client = *etcd::EtcdClient::open(host_.host(), std::move(only));
    const auto answer = host_.loop().run(client->attempt("/v3/maintenance/status", "{}", 1s));
    if (!answer) continue;
    const auto status = *json::parse(*answer);
    ids[i] = *status.find("header")->require_string("member_id");
    const std::string leads = *status.optional_string("leader", "0");
    if (leads != "0") leading = leads;
  }
  const auto found = std::ranges::find(ids, leading.value_or("none"));
  if (found == ids.end()) return std::nullopt;
  return static_cast<std::size_t>(found - ids.begin());
}

void EtcdCluster::await_leader() {
  const MonotonicTime end = host_.loop().now() + kPatience;
  while (!leader()) {
    REQUIRE(host_.loop().now() < end);
    host_.loop().run(
        [](async::Loop& loop) -> async::Task<void> { co_await loop.sleep(50ms); }(host_.loop()));
  }
}

std::string EtcdCluster::call(const std::string& path, const std::string& body) {
  auto client = *etcd::EtcdClient::open(host_.host(), options("/perigee"));
  auto answer = host_.loop().run(client->read(path, body));
  CAPTURE(path);
  if (!answer) FAIL(answer.error().context);
  return *std::move(answer);
}

void EtcdCluster::run(std::vector<std::string> argv) {
  const auto done = host_.loop().run(host_.host().processes.run(
      {.argv = std::move(argv), .directory = directory_}, "", host_.loop().deadline_in(kPatience)));
  REQUIRE(done.has_value());
  if (!done->status.success()) FAIL(done->err);
}

// Without common names: etcd's gateway passes its caller's certificate on, and refuses to take a
// name from it.
void EtcdCluster::make_certificates() {
  const std::vector<std::string> key{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                                     "-nodes"};
  std::vector<std::string> ca{"openssl", "req",     "-x509",  "-days", "2",     "-subj",
                              "/O=test", "-keyout", "ca.key", "-out",  "ca.pem"};
  ca.insert(ca.end(), key.begin(), key.end());
  run(std::move(ca));
  std::ofstream(directory_ + "/extensions")
      << "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n";
  for (const std::string name : {"server", "client"}) {
    std::vector<std::string> request{"openssl", "req",         "-subj", "/O=test",
                                     "-keyout", name + ".key", "-out",  name + ".csr"};
    request.insert(request.end(), key.begin(), key.end());
    run(std::move(request));
    run({"openssl", "x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", name + ".pem"});
  }
}

}  // namespace perigee::store
