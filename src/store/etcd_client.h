// EtcdClient: calls to etcd's JSON gateway at whichever of its members answers.
//
// Owned by EtcdStore, on its loop. A member that fails to answer in time is left for the next in
// the list; a client that waited for etcd's own error after a leader's death would wait 7 s. The
// token of a user is fetched when it is needed and again when etcd knows it no more.
//
//   CO_TRY(std::string answer, co_await client.read("/v3/kv/range", encode(query)));
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/event.h"
#include "crypto/certificate.h"
#include "http/client.h"
#include "store/etcd_codec.h"
#include "store/limits.h"

namespace perigee::store {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // "https://10.0.0.1:2379"; the nearest first
  std::string ca_pem;                  // empty: the system's roots
  crypto::KeyPair identity;            // of the client; empty: none is shown
  std::string user;                    // empty: etcd asks for none
  std::string password;
  std::string prefix = "/perigee";  // what lies under it is the store's
  Duration patience = kEtcdPatience;
};

namespace etcd {

// Why a call has no result, and what that means for it.
struct CallFailure {
  enum class Effect {
    refused,    // not done, and asking again would get the same answer
    not_done,   // not done; it may be asked again
    uncertain,  // it may have been done, or may yet be
  } effect;
  Error error;
};

class EtcdClient {
 public:
  using Answer = std::expected<std::string, CallFailure>;

  static Result<std::unique_ptr<EtcdClient>> open(sys::Host& host, EtcdOptions options);

  // One attempt, at the member in use; leaves that member where it does not answer well.
  async::Task<Answer> attempt(std::string path, std::string body, Duration patience);
  // A call that may be repeated: until it is answered or the patience is over.
  async::Task<Result<std::string>> read(std::string path, std::string body);

  // A response that goes on, and the member that it comes from.
  struct Watching {
    std::unique_ptr<http::Response> response;
    std::size_t member;
  };
  async::Task<Result<Watching>> watch(std::string body);
  // Whether that member answers a read that needs the cluster's majority.
  async::Task<bool> in_step(std::size_t member, std::string body);
  void leave(std::size_t member);  // for the next one, if it is the one in use
  Duration patience() const { return options_.patience; }
  void renew_token() { token_.clear(); }
  const std::string& name(std::size_t member) const { return options_.endpoints[member]; }

  async::Loop& loop() { return host_.loop; }

 private:
  EtcdClient(sys::Host& host, EtcdOptions options, std::vector<sys::Address> members,
             std::shared_ptr<crypto::TlsClient> tls);
  async::Task<Answer> post(std::size_t member, std::string path, std::string body,
                           std::string token, Deadline deadline);
  async::Task<Answer> call(std::size_t member, std::string path, std::string body,
                           Deadline deadline);
  async::Task<Answer> token(std::size_t member, Deadline deadline);
  void note_failure(std::size_t member, const Error& error);

  sys::Host& host_;
  EtcdOptions options_;
  std::vector<sys::Address> members_;
  http::Client http_;
  std::size_t member_ = 0;  // the one in use
  bool failing_ = false;    // said so in the log
  std::string token_;
  async::Semaphore authenticating_;
};

// How long the attempt after one of `patience` may take. It grows slowly: a member that has lost
// its leader does not answer even when there is a new one.
Duration next_patience(Duration patience);
// What gRPC's status code and etcd's sentence say of a call.
CallFailure failure_from(const GatewayError& error);

}  // namespace etcd
}  // namespace perigee::store
