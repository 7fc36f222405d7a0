// Any text as a host name: refused, or one that is the same when it is read again, and that the
// store's keys and a certificate's request can hold.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/host_name.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::model;
  const auto host = parse_host_name({reinterpret_cast<const char*>(data), size});
  if (!host) return 0;
  PERIGEE_CHECK(parse_host_name(*host) == *host);
  PERIGEE_CHECK(host->size() <= 253 && host->find_first_of("/ ,\n") == std::string::npos);
  PERIGEE_CHECK(host->rfind('*') == std::string::npos || is_wildcard(*host));
  return 0;
}
