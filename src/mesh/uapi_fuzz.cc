// Fuzz target: an answer of wireguard-go, any bytes. What is understood can be planned on, and the
// plan written.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mesh/limits.h"
#include "mesh/plan.h"
#include "mesh/uapi.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::mesh;
  const std::string answer(data, data + size);
  const auto state = parse_uapi_state(answer);
  if (!state) return 0;
  if (state->peers.size() > kMaxPeers) std::abort();
  const auto key = PrivateKey::from_raw(std::string(32, 'k'));
  const DeviceConfig nothing{.key = *key, .listen_port = 51820, .peers = {}};
  const std::string change = uapi_set(plan(nothing, *state, {}));
  if (!uapi_complete(change)) std::abort();
  return 0;
}
