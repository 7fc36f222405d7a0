// Whatever a VMM writes into its metrics pipe: the counts are the same whichever way it is cut, and
// survive the way to the worker.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "vm/vmm_counters.h"

namespace {

using namespace perigee::vm;

VmmCounts read_all(std::string_view bytes, std::size_t step) {
  VmmCounterReader reader;
  for (std::size_t at = 0; at < bytes.size(); at += step) reader.feed(bytes.substr(at, step));
  return reader.counts();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const VmmCounts counts = read_all(bytes, std::max<std::size_t>(size, 1));
  PERIGEE_CHECK(read_all(bytes, 7) == counts);
  const auto told = vmm_counts_from(to_json(counts));
  PERIGEE_CHECK(told.has_value() && *told == counts);
  return 0;
}
