// GuestLink: the host's end of the guest control channel for one VM. Keeps a connection to the
// VMM's socket, attaches (docs/formats/guest-channel.md), hands messages to its GuestListener and
// acknowledges what that has kept. Connects again after any drop or malformed frame, until the VMM
// has ended.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "async/event.h"
#include "async/task.h"
#include "channel/types.h"
#include "monitor/vmm.h"
#include "sys/host.h"

namespace perigee::monitor {

class GuestListener {
 public:
  virtual ~GuestListener() = default;
  // The Configure frame; empty for a guest that gets no task.
  virtual std::string configuration() = 0;
  // The guest has answered.
  virtual void guest_spoke() = 0;
  virtual async::Task<void> guest_started(std::uint32_t pid) = 0;
  // How long to read nothing more from the guest.
  virtual Duration guest_output(const channel::Output& output) = 0;
  // Both return when the news is on disk: then it is acknowledged.
  virtual async::Task<void> guest_exited(channel::Exited exited) = 0;
  virtual async::Task<void> guest_failed(channel::Failed failed) = 0;
  // A message of an exec session.
  virtual void guest_exec(const channel::GuestMessage& message) = 0;
  // The connection has ended, and with it every exec session.
  virtual void guest_lost() = 0;
  // The answers to an Inquire.
  virtual void guest_listens(channel::Listening report) = 0;
  virtual void guest_counts(channel::Stats report) = 0;
  virtual void guest_runs(channel::Processes report) = 0;
};

class GuestLink {
 public:
  // `received`: the last sequence number that is on file. A guest that is only being booted is sent
  // its configuration along with the first Attach, so that it need not wait for it when it is up;
  // one that is being resumed, the time and fresh entropy, so that it has them before it goes on.
  enum class Guest { boots, found, resumes };
  GuestLink(sys::Host& host, Vmm& vmm, GuestListener& listener, Guest guest, std::uint64_t received)
      : host_(host),
        vmm_(vmm),
        listener_(listener),
        guest_(guest),
        received_(received),
        queued_(host.loop) {}

  // Until vmm_ended() and the last byte is read. The first connection is made before the first
  // wait.
  async::Task<void> run();
  void vmm_ended() { vmm_ended_ = true; }
  // Queues a frame; unavailable before the guest's first answer, resource_exhausted when it reads
  // nothing.
  Result<void> send(std::string frame);

 private:
  async::Task<Result<void>> converse(sys::Stream& stream);
  async::Task<void> write_out(sys::Stream& stream);
  async::Task<void> handle(channel::GuestMessage message);
  async::Task<void> greet(channel::Hello hello);
  void acknowledge(std::uint64_t sequence);
  void queue(std::string_view frame);

  sys::Host& host_;
  Vmm& vmm_;
  GuestListener& listener_;
  Guest guest_;              // as it is at the next connection
  bool configured_ = false;  // on this connection
  std::uint64_t received_;
  std::uint64_t acknowledged_ = 0;
  Duration pause_ = {};
  std::string outgoing_;
  async::Notify queued_;
  bool attached_ = false;
  bool vmm_ended_ = false;
};

}  // namespace perigee::monitor
