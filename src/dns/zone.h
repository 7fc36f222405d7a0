// What a machine is told about names under `.internal` (docs/names.md): those of its own app, and
// that there are no others. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dns/message.h"

namespace perigee::dns {

struct NamedHost {
  std::string id;
  std::string region;
  std::string address;  // IPv6
  bool operator==(const NamedHost&) const = default;
};

// The app of whoever asks, and its machines that run.
struct View {
  std::string app;
  std::vector<NamedHost> hosts = {};
  bool operator==(const View&) const = default;
};

bool is_internal(std::string_view name);

// `first`: which host comes first, by turns, so that those who take the first one are spread.
Answer resolve(const View& view, const Question& question, std::size_t first);

}  // namespace perigee::dns
