// Fuzz target: any bytes as a query. What is understood is answered within the size that was asked
// for, and the question is repeated as it came.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dns/limits.h"
#include "dns/zone.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::dns;
  const std::string message(data, data + size);
  const auto query = parse_query(message);
  if (!query) {
    if (refusal(message, Rcode::format_error).size() > message.size()) std::abort();
    return 0;
  }
  View view{.app = "web"};
  for (int i = 0; i < 100; ++i) view.hosts.push_back({"m1", "fra", "fd00::1"});
  const Answer answer = resolve(view, query->question, query->id);
  const std::string written = write_answer(*query, answer, query->udp_size);
  if (written.size() > kMaxUdpAnswer || written.substr(12, query->asked.size()) != query->asked) {
    std::abort();
  }
  return 0;
}
