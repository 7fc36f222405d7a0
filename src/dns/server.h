// Server: the resolver that machines are given, at the gateway's address. A name under `.internal`
// is answered from the asker's view; everything else is handed to the node's real resolvers, and
// their answers handed back unread. By UDP, and by TCP for what is too large for it.
//
//   Server server(host, sockets, clients, {resolver});
//   group.spawn(server.serve_datagrams(*datagrams)); group.spawn(server.serve_streams(*listener));
//
// Owned by bin/; one loop. Bounds: kMaxAsked, kMaxConnections; what is beyond them is not answered,
// and a resolver asks again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "dns/limits.h"
#include "dns/zone.h"
#include "sys/datagrams.h"
#include "sys/host.h"

namespace perigee::dns {

// Whoever asks.
struct Client {
  View view;
  bool known = true;    // false: its app's names are not known yet; it is to ask again
  bool outside = true;  // may ask for other names (its app's egress policy is not closed)
};

class Server {
 public:
  // By the address that a query comes from; nullopt: it is not answered.
  using FindClient = std::function<std::optional<Client>(const std::string& address)>;
  // A new socket for one question: its port is hard to guess.
  using OpenSocket = std::function<Result<std::unique_ptr<sys::Datagrams>>(const sys::Address&)>;

  Server(sys::Host& host, OpenSocket open, FindClient clients, std::vector<sys::Address> resolvers);

  // Each for ever. `at` outlives the task.
  async::Task<void> serve_datagrams(sys::Datagrams& at);
  async::Task<void> serve_streams(sys::Listener& at);

 private:
  static async::Task<void> hand_over(Server& server, sys::Datagrams& at, std::string query,
                                     sys::Address client);
  async::Task<std::string> ask(std::string query);
  async::Task<Result<std::string>> ask_one(std::string query, sys::Address resolver);
  static async::Task<void> serve_stream(Server& server, std::unique_ptr<sys::Stream> stream);
  async::Task<Result<void>> converse(sys::Stream& stream);
  async::Task<Result<std::string>> ask_by_stream(std::string query);

  enum class Transport { udp, tcp };
  // The answer to what is asked here; nullopt: for others to answer. Empty: none.
  std::optional<std::string> own_answer(const std::string& message, const std::string& from,
                                        Transport transport);

  sys::Host& host_;
  OpenSocket open_;
  FindClient clients_;
  std::vector<sys::Address> resolvers_;
  async::TaskGroup asked_;
  async::TaskGroup connections_;
};

}  // namespace perigee::dns
