// Trace: a running hash over everything that a simulation delivered, with its time. Two runs that
// have the same hash did the same things in the same order.
//
// `keep` also holds the last lines as text, to print when an invariant fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/time.h"

namespace perigee::sim {

class Trace {
 public:
  void note(MonotonicTime at, std::string_view kind, std::string_view detail);
  std::uint64_t hash() const { return hash_; }
  std::uint64_t events() const { return events_; }

  void keep(std::size_t lines) { keep_ = lines; }
  std::string text() const;

 private:
  void mix(std::string_view bytes);

  std::uint64_t hash_ = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  std::uint64_t events_ = 0;
  std::size_t keep_ = 0;
  std::deque<std::string> lines_;
};

}  // namespace perigee::sim
