// PosixHost: the real machine. Made once per process by bin/ (and by tests that want real sockets):
//
//   auto host = sys::PosixHost::open(/*pool_threads=*/4);
//   host->loop().run(main_task(host->host()));
//
// Also the ways to take over what another process opened: listeners and streams from descriptors.
#pragma once

#include <memory>

#include "sys/epoll_port.h"
#include "sys/host.h"

namespace perigee::sys {

class PosixHost {
 public:
  static Result<std::unique_ptr<PosixHost>> open(std::size_t pool_threads);
  ~PosixHost();

  async::Loop& loop();
  Host& host();
  EpollPort& port();

  // Take ownership of an open socket (made non-blocking, close-on-exec).
  Result<std::unique_ptr<Listener>> adopt_listener(Fd fd);
  Result<std::unique_ptr<Stream>> adopt_stream(Fd fd);
  Result<std::unique_ptr<Datagrams>> adopt_datagrams(Fd fd);
  // Completes when one of `signals` arrives (they are blocked for the process from here on).
  async::Task<int> wait_for_signal(std::vector<int> signals);

 private:
  PosixHost();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// From now on these signals wait for wait_for_signal(). Before any thread is started.
void hold_signals(const std::vector<int>& signals);
// Binds and listens, for a process that passes the descriptor on. Blocking call, no loop needed.
Result<Fd> listen_socket(const Address& at, int backlog, Binding binding = Binding::present);
// The same of UDP: a socket that is told which address each datagram was sent to.
Result<Fd> datagram_socket(const Address& at, Binding binding = Binding::present);
// The peer's user id of a connected Unix stream.
Result<uid_t> peer_uid(const Stream& stream);
// Sends and receives descriptors over a Unix stream descriptor (SCM_RIGHTS), at most 16.
Result<void> send_descriptors(int socket, std::string_view text, const std::vector<int>& fds);
struct Received {
  std::string text;
  std::vector<Fd> fds;
};
Result<Received> receive_descriptors(int socket, std::size_t max_text);
// The descriptor behind a stream or listener of this host (for splicing, passing on); -1 otherwise.
int descriptor(const Stream& stream);
int descriptor(const Listener& listener);

}  // namespace perigee::sys
