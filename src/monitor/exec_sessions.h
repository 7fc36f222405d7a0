// ExecSessions: processes beside the app, each driven by one client of the monitor's socket. Client
// and guest speak in their own terms (docs/formats/exec-stream.md, guest-channel.md); in between
// stands this. Memory is bounded per session: the guest sends no more than a window ahead of what
// the client has taken, and the client's input is read only as the guest takes it.
//
//   co_await sessions.serve(stream, first_bytes);   // one client, to its end
//   sessions.guest_says(ExecOutput{…});             // from the guest link
//
// Owned by Monitor; one loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "async/event.h"
#include "async/task.h"
#include "channel/limits.h"
#include "channel/types.h"
#include "exec/stream.h"
#include "sys/host.h"

namespace perigee::monitor {

class ExecSessions {
 public:
  // Queues a frame for the guest (GuestLink::send).
  using Send = std::function<Result<void>(std::string frame)>;
  ExecSessions(sys::Host& host, Send send) : host_(host), send_(std::move(send)) {}

  // `first`: bytes of the client that were read already. Whatever the client left running when it
  // went away is killed.
  async::Task<void> serve(sys::Stream& stream, std::string first);

  void guest_says(const channel::GuestMessage& message);
  // The guest, or the connection to it, is gone, and its sessions with it.
  void guest_lost();

 private:
  struct Session {
    Session(async::Loop& loop, std::uint32_t number) : id(number), changed(loop) {}
    std::uint32_t id;
    std::string outgoing;     // frames for the client
    std::size_t untaken = 0;  // output bytes in it that the guest has no credit for yet
    std::size_t input_credit = channel::kExecWindow;
    bool over = false;  // what is in `outgoing` is all
    async::Notify changed;
  };
  struct Client {
    sys::Stream& stream;
    exec::ClientDecoder decoder;
  };

  async::Task<Result<exec::Start>> read_start(Client& client);
  async::Task<Result<exec::ClientMessage>> next_message(Client& client);
  async::Task<void> drive(Client& client, exec::Start start);
  static async::Task<void> take_input(ExecSessions& self, Client& client, Session& session);
  static async::Task<void> give_output(ExecSessions& self, Client& client, Session& session);
  async::Task<Result<void>> pass_on(Session& session, exec::ClientMessage message);
  async::Task<Result<void>> pass_input(Session& session, std::string bytes);
  void take_output(Session& session, const channel::ExecOutput& output);
  Session* find(std::uint32_t id);
  static void say(Session& session, std::string frame);
  static void end(Session& session, std::string frame);

  sys::Host& host_;
  Send send_;
  std::uint32_t last_id_ = 0;
  std::map<std::uint32_t, Session*> sessions_;  // each lives in its drive()
};

}  // namespace perigee::monitor
