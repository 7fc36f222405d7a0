// Fuzz target: the kernel's answer about a WireGuard device, any bytes, in two parts. What is
// understood can be planned on, and the plan encoded within the bound of a message.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mesh/kernel_codec.h"
#include "mesh/limits.h"
#include "mesh/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::mesh;
  const std::string bytes(data, data + size);
  DeviceState state;
  if (!parse_kernel_state(bytes, state) || !parse_kernel_state(bytes, state)) return 0;
  if (state.peers.size() > kMaxPeers) std::abort();
  const auto key = PrivateKey::from_raw(std::string(32, 'k'));
  const DeviceConfig nothing{.key = *key, .listen_port = 51820, .peers = {}};
  for (const auto& message : kernel_set(20, "pgw-0", plan(nothing, state, {}))) {
    if (message.size() > kMaxKernelMessage) std::abort();
  }
  return 0;
}
