#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace perigee {

void check_failed(std::string_view file, int line, std::string_view what) {
  std::fprintf(stderr, "%.*s:%d: bug: CHECK(%.*s) failed\n", static_cast<int>(file.size()),
               file.data(), line, static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace perigee
