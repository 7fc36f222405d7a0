#include "lab/etcd.h"

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "config/paths.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "json/json.h"
#include "lab/city_process.h"
#include "lab/limits.h"
#include "sys/procfs.h"

namespace perigee::lab {
namespace {

constexpr int kClientPort = 2379;
constexpr int kPeerPort = 2380;
constexpr int kCertificateDays = 397;
constexpr std::size_t kPasswordBytes = 16;
constexpr std::size_t kMaxPassword = 256;
constexpr unsigned kPrivate = 0600;
constexpr std::string_view kUser = "perigee";
constexpr Duration kPoll = 200ms;

// A member's files, and those that control beside it shows etcd.
struct Files {
  explicit Files(const CityPlan& city)
      : folder(city.root + "/etc/etcd"),
        data(city.root + "/var/lib/etcd"),
        log(city.root + "/var/log/etcd.log") {}
  std::string ca() const { return folder + "/ca.pem"; }
  std::string certificate() const { return folder + "/member.pem"; }
  std::string key() const { return folder + "/member.key"; }
  std::string password() const { return folder + "/password"; }            // Perigee's user
  std::string root_password() const { return folder + "/root-password"; }  // etcd's administrator

  std::string folder;
  std::string data;
  std::string log;
};

std::string url(const CityPlan& city, int port) {
  return fmt::format("https://{}:{}", city.node.address, port);
}

async::Task<Result<void>> write_private(sys::Host& host, std::string path, std::string text) {
  co_return co_await host.disk.write_file(std::move(path), std::move(text), kPrivate,
                                          sys::Durability::synced);
}

std::string data_option(const CityPlan& city) {
  return "--data-dir=" + Files(city).data;
}

// The CA's certificate last: where it is, all is.
async::Task<Result<void>> equip(sys::Host& host, const CityPlan& city, const crypto::KeyPair& ca,
                                std::string password, std::string root_password) {
  const Files files(city);
  CO_TRY_VOID(co_await host.disk.make_directories(files.folder, 0700));
  CO_TRY(crypto::KeyPair pair, crypto::issue_nameless(ca, {city.node.address, "127.0.0.1"},
                                                      host.clock.wall(), kCertificateDays));
  CO_TRY_VOID(co_await write_private(host, files.certificate(), std::move(pair.certificate_pem)));
  CO_TRY_VOID(co_await write_private(host, files.key(), std::move(pair.private_key_pem)));
  CO_TRY_VOID(co_await write_private(host, files.password(), std::move(password)));
  CO_TRY_VOID(co_await write_private(host, files.root_password(), std::move(root_password)));
  co_return co_await write_private(host, files.ca(), ca.certificate_pem);
}

// All of one CA, whose key nobody needs afterwards.
async::Task<Result<void>> equip_members(sys::Host& host, const Plan& plan) {
  const auto equipped = [](const CityPlan* city) {
    return std::filesystem::exists(Files(*city).ca());
  };
  if (std::ranges::all_of(plan.controls(), equipped)) co_return Result<void>();
  CO_TRY(const crypto::KeyPair ca, crypto::create_ca("Lab etcd", host.clock.wall()));
  const std::string password = sys::random_hex(host.entropy, kPasswordBytes);
  const std::string root_password = sys::random_hex(host.entropy, kPasswordBytes);
  for (const CityPlan* city : plan.controls()) {
    CO_TRY_VOID(co_await equip(host, *city, ca, password, root_password));
  }
  co_return Result<void>();
}

// A call of etcd's gateway at the city's member: what it answers, errors included.
async::Task<Result<json::Value>> call(sys::Host& host, const Plan& plan, const CityPlan& city,
                                      std::string_view path, json::Value body) {
  const Files files(city);
  // By curl's standard input: passwords are nobody's who lists processes.
  std::string input = fmt::format(
      "silent\nshow-error\nnoproxy = \"*\"\nurl = \"{}{}\"\ncacert = \"{}\"\ncert = \"{}\"\n"
      "key = \"{}\"\nmax-time = 10\ndata = {}\n",
      url(city, kClientPort), path, files.ca(), files.certificate(), files.key(),
      json::Value(body.dump()).dump());
  CO_TRY(const std::string text,
         co_await ask_city(host, plan, city, {"curl", "--config", "-"}, std::move(input)));
  co_return json::parse(text);
}

async::Task<Result<void>> await_leader(sys::Host& host, const Plan& plan, const CityPlan& city) {
  const MonotonicTime end = host.loop.now() + kEtcdStart;
  for (;; co_await host.loop.sleep(kPoll)) {
    const auto status = co_await call(host, plan, city, "/v3/maintenance/status", json::object({}));
    if (status && status->optional_string("leader", "0").value_or("0") != "0")
      co_return Result<void>();
    if (host.loop.now() > end) {
      co_return fail(Code::unavailable, "etcd in {} has no leader in time; its log: {}",
                     city.city.code, Files(city).log);
    }
  }
}

struct AuthStep {
  std::string_view path;
  json::Value body;
};

// What docs/operate/store.md does by etcdctl.
std::vector<AuthStep> auth_steps(const std::string& password, const std::string& root_password) {
  const auto base64 = [](std::string_view text) { return crypto::base64_encode(text); };
  return {{"/v3/auth/user/add", json::object({{"name", "root"}, {"password", root_password}})},
          {"/v3/auth/role/add", json::object({{"name", "root"}})},
          {"/v3/auth/user/grant", json::object({{"user", "root"}, {"role", "root"}})},
          {"/v3/auth/role/add", json::object({{"name", kUser}})},
          {"/v3/auth/role/grant",
           json::object({{"name", kUser},
                         {"perm", json::object({{"permType", "READWRITE"},
                                                {"key", base64("/perigee")},
                                                {"range_end", base64("/perigef")}})}})},
          {"/v3/auth/user/add", json::object({{"name", kUser}, {"password", password}})},
          {"/v3/auth/user/grant", json::object({{"user", kUser}, {"role", kUser}})},
          {"/v3/auth/enable", json::object({})}};
}

// Steps that an earlier `up` has taken fail here, and need not be told: what counts is the end.
async::Task<Result<void>> ensure_users(sys::Host& host, const Plan& plan, const CityPlan& city) {
  CO_TRY(const std::string password,
         co_await host.disk.read_file(Files(city).password(), kMaxPassword));
  CO_TRY(const std::string root_password,
         co_await host.disk.read_file(Files(city).root_password(), kMaxPassword));
  const json::Value login = json::object({{"name", kUser}, {"password", password}});
  CO_TRY(json::Value answer, co_await call(host, plan, city, "/v3/auth/authenticate", login));
  if (answer.find("token") != nullptr) co_return Result<void>();
  for (AuthStep& step : auth_steps(password, root_password)) {
    CO_TRY([[maybe_unused]] const json::Value done,
           co_await call(host, plan, city, step.path, std::move(step.body)));
  }
  CO_TRY(answer, co_await call(host, plan, city, "/v3/auth/authenticate", login));
  if (answer.find("token") != nullptr) co_return Result<void>();
  co_return fail(Code::internal, "etcd does not let its user log in: {}", answer.dump());
}

}  // namespace

bool etcd_runs(const CityPlan& city) {
  return sys::find_process_by_argument(data_option(city)).has_value();
}

std::string store_configuration(const Plan& plan, const CityPlan& city) {
  if (plan.etcd.empty()) return {};
  std::string endpoints = fmt::format("\"{}\"", url(city, kClientPort));
  for (const CityPlan* other : plan.controls()) {
    if (other != &city) endpoints += fmt::format(", \"{}\"", url(*other, kClientPort));
  }
  const Files files(city);
  return fmt::format(
      "\n[store]\nengine = \"etcd\"\nendpoints = [{}]\nca = \"{}\"\ncertificate = \"{}\"\n"
      "key = \"{}\"\nuser = \"{}\"\npassword_file = \"{}\"\n",
      endpoints, files.ca(), files.certificate(), files.key(), kUser, files.password());
}

std::vector<std::string> etcd_command(const Plan& plan, const CityPlan& city) {
  const Files files(city);
  std::string cluster;
  for (const CityPlan* member : plan.controls()) {
    cluster += fmt::format("{}{}={}", cluster.empty() ? "" : ",", member->city.code,
                           url(*member, kPeerPort));
  }
  const std::string client = url(city, kClientPort);
  const std::string peer = url(city, kPeerPort);
  return {plan.etcd,
          "--name=" + city.city.code,
          data_option(city),
          "--listen-client-urls=" + client,
          "--advertise-client-urls=" + client,
          "--listen-peer-urls=" + peer,
          "--initial-advertise-peer-urls=" + peer,
          "--initial-cluster=" + cluster,
          "--max-txn-ops=4200",
          "--heartbeat-interval=100",
          "--election-timeout=1000",
          "--client-cert-auth",
          "--trusted-ca-file=" + files.ca(),
          "--cert-file=" + files.certificate(),
          "--key-file=" + files.key(),
          "--peer-client-cert-auth",
          "--peer-trusted-ca-file=" + files.ca(),
          "--peer-cert-file=" + files.certificate(),
          "--peer-key-file=" + files.key(),
          "--logger=zap",
          "--log-level=warn"};
}

async::Task<Result<void>> start_etcd(sys::Host& host, const Plan& plan) {
  if (plan.etcd.empty()) co_return Result<void>();
  CO_TRY_VOID(co_await equip_members(host, plan));
  for (const CityPlan* city : plan.controls()) {
    if (etcd_runs(*city)) continue;
    CO_TRY_VOID(co_await host.disk.make_directories(Files(*city).data, 0700));
    CO_TRY_VOID(
        co_await start_in_city(host, plan, *city, etcd_command(plan, *city), Files(*city).log));
  }
  const CityPlan& first = *plan.controls().front();
  CO_TRY_VOID(co_await await_leader(host, plan, first));
  co_return co_await ensure_users(host, plan, first);
}

}  // namespace perigee::lab
