// KernelPipe: carries bytes from one socket to another without bringing them into this process
// (splice(2)). For what is large and unread: a small message costs more this way than by a copy.
//
//   if (KernelPipe::joins(from, to)) …
//   TRY(KernelPipe pipe, KernelPipe::open());
//   const auto step = co_await pipe.move(from, to);     // until step.outcome is another than moved
//
// Used by one direction of one connection at a time; what is in it when that is cancelled is lost.
#pragma once

#include "sys/fd.h"
#include "sys/network.h"

namespace perigee::sys {

class KernelPipe {
 public:
  // Both are sockets of this process, with nothing in between.
  static bool joins(const Stream& from, const Stream& to);
  static Result<KernelPipe> open();

  enum class Outcome { moved, end, source_lost, sink_lost };
  struct Step {
    Outcome outcome;
    std::size_t bytes = 0;  // that have arrived
  };
  // What is there, at least one byte; all of it has arrived afterwards.
  async::Task<Step> move(Stream& from, Stream& to);

 private:
  KernelPipe(Fd in, Fd out) : in_(std::move(in)), out_(std::move(out)) {}
  Fd in_;   // written to
  Fd out_;  // read from
};

}  // namespace perigee::sys
