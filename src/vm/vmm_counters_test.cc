#include "vm/vmm_counters.h"

#include <doctest/doctest.h>

#include <map>

using namespace perigee;
using namespace perigee::vm;

namespace {

std::map<std::string, std::uint64_t> not_zero(const VmmCounts& counts) {
  std::map<std::string, std::uint64_t> out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) out[std::string(kVmmCounters[i].name)] = counts[i];
  }
  return out;
}

constexpr std::string_view kLine =
    R"({"utc_timestamp_ms":1,"block":{"read_bytes":9},"block_disk0":{"read_bytes":4,"x":1},)"
    R"("block_disk1":{"read_bytes":6,"write_bytes":2},"net_eth0":{"tx_bytes_count":7},)"
    R"("balloon":{"inflate_count":1},"vcpu":{"failures":0}})"
    "\n";

}  // namespace

TEST_CASE("a VMM's lines are added up, over its devices, in any pieces") {
  const std::map<std::string, std::uint64_t> twice{{"block_read_bytes", 20},
                                                   {"block_written_bytes", 4},
                                                   {"net_sent_bytes", 14},
                                                   {"balloon_inflations", 2}};
  const std::string text = std::string(kLine) + std::string(kLine);
  for (const std::size_t piece : {1UZ, 7UZ, text.size()}) {
    VmmCounterReader reader;
    for (std::size_t at = 0; at < text.size(); at += piece)
      reader.feed(std::string_view(text).substr(at, piece));
    CHECK(not_zero(reader.counts()) == twice);
  }
}

TEST_CASE("what is no line of counters is passed over, however long") {
  VmmCounterReader reader;
  reader.feed("not JSON\n[1,2]\n{\"net_eth0\":7}\n{\"net_eth0\":{\"tx_bytes_count\":\"x\"}}\n\n");
  for (int i = 0; i < 40; ++i) reader.feed(std::string(10'000, '{'));
  reader.feed("\n{\"vcpu\":{\"failures\":-5}}\n");
  CHECK(not_zero(reader.counts()).empty());
  reader.feed(kLine);
  CHECK(not_zero(reader.counts()).size() == 4);
}

TEST_CASE("counts stay within what JSON holds, and survive it") {
  VmmCounterReader reader;
  for (int i = 0; i < 3; ++i) reader.feed("{\"vcpu\":{\"failures\":9223372036854775807}}\n");
  CHECK(not_zero(reader.counts())["vcpu_failures"] == INT64_MAX);
  const auto again = vmm_counts_from(to_json(reader.counts()));
  REQUIRE(again.has_value());
  CHECK(*again == reader.counts());
  CHECK_FALSE(vmm_counts_from(json::object()).has_value());
}
