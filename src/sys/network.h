// Network: connections, listeners and UDP sockets, as interfaces. PosixNetwork (posix_network.h) is
// the real one, sim::SimNetwork the simulated one; protocols above see only these.
//
// A Stream is a reliable ordered byte stream, used by one reader and one writer at a time. Calls
// are bounded by the caller with async::with_deadline, which cancels them; a cancelled write leaves
// the stream usable only for closing.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "async/loop.h"
#include "async/task.h"
#include "base/result.h"
#include "base/time.h"
#include "sys/address.h"
#include "sys/datagrams.h"

namespace perigee::sys {

class Stream {
 public:
  virtual ~Stream() = default;
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // At least one byte, or 0 at the end of the stream.
  virtual async::Task<Result<std::size_t>> read(std::span<char> into) = 0;
  // All of it. `data` must stay valid until the task ends.
  virtual async::Task<Result<void>> write(std::string_view data) = 0;
  // What is there now without waiting: bytes read, 0 at the end, or nullopt when it would wait.
  virtual Result<std::optional<std::size_t>> try_read(std::span<char> into) = 0;
  // Has `waiter` scheduled when try_read may find something, which may be at once: for who waits
  // long, and keeps no buffer meanwhile. Not beside a read.
  virtual void when_readable(async::Waiter& waiter) = 0;
  virtual Result<void> shutdown_write() = 0;
  virtual Address peer() const = 0;
  virtual Address local() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual async::Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  virtual Address local() const = 0;
  // Takes no more connections; those of its queue wait for whoever else has the socket.
  //   nothing: that was all; nobody may wait in `accept`
  //   some: `accept` still gives what was taken before, then `cancelled`
  enum class Left { nothing, some };
  virtual Left stop() { return Left::nothing; }
};

// coming: the address may not be this machine's yet.
enum class Binding { present, coming };

class Network {
 public:
  virtual ~Network() = default;
  virtual async::Task<Result<std::unique_ptr<Stream>>> connect(Address to, Deadline deadline) = 0;
  // Port 0 picks a free one (see Listener::local). A stale Unix socket is replaced.
  virtual Result<std::unique_ptr<Listener>> listen(const Address& at) = 0;
  // A UDP socket bound to `at`; port 0 picks a free one.
  virtual Result<std::unique_ptr<Datagrams>> open_datagrams(const Address& at, Binding binding) = 0;
  // A named pipe, to be read from. Its writers may come and go: the stream has no end.
  virtual Result<std::unique_ptr<Stream>> open_pipe(const std::string& path) = 0;
};

}  // namespace perigee::sys
