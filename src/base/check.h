// CHECK: an invariant whose failure is a bug of ours. Always on; prints and aborts.
//
// Never for input from outside (requests, images, configs, files): those return a Result.
#pragma once

#include <string_view>

namespace perigee {

[[noreturn]] void check_failed(std::string_view file, int line, std::string_view what);

}  // namespace perigee

#define PERIGEE_CHECK(cond)                               \
  do {                                                    \
    if (!(cond)) [[unlikely]]                             \
      ::perigee::check_failed(__FILE__, __LINE__, #cond); \
  } while (false)
