// Giving way: for loops whose every step may complete at once, such as one that takes what a client
// sends as fast as it can. Others on the loop wait as long as they run.
//
//   for (…) {
//     …a bounded step…
//     if (async::turn_is_long(loop)) co_await loop.yield();
//   }
//
// What counts is the whole turn: many short ones make it as long as a long one does, and each gives
// way after its step then.
#pragma once

#include "async/loop.h"

namespace perigee::async {

inline constexpr Duration kLongTurn = 200us;

inline bool turn_is_long(Loop& loop) {
  return loop.port().now() - loop.now() >= kLongTurn;
}

}  // namespace perigee::async
