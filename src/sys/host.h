// Host: everything a module may ask of the machine it runs on, as references to interfaces.
//
// bin/ makes the real one (PosixHost), sim/ a simulated one; a module takes `Host&` and so can't
// tell.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "async/loop.h"
#include "async/thread_pool.h"
#include "base/time.h"
#include "sys/disk.h"
#include "sys/network.h"
#include "sys/process.h"

namespace perigee::sys {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() = 0;
};

class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;
};

struct Host {
  async::Loop& loop;
  Clock& clock;
  Entropy& entropy;
  Network& network;
  Disk& disk;
  Processes& processes;
  async::ThreadPool& pool;
};

// `bytes` random bytes as lower-case hex.
std::string random_hex(Entropy& entropy, std::size_t bytes);

}  // namespace perigee::sys
