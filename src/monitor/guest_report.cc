#include "monitor/guest_report.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace perigee::monitor {
namespace {

constexpr std::size_t kIpv4Bytes = 4;

std::string address_text(const std::string& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = address.size() == kIpv4Bytes ? AF_INET : AF_INET6;
  const char* done = ::inet_ntop(family, address.data(), text.data(), text.size());
  return done == nullptr ? "" : done;
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (c <= ' ' || c > '~' || c == '"') c = '?';
  }
  return text;
}

void limit(std::uint64_t& number) {
  number = std::min<std::uint64_t>(number, INT64_MAX);
}

template <typename Rows>
void tidy(Rows& rows) {
  for (auto& row : rows) {
    row.name = printable(std::move(row.name));
    for (std::uint64_t& value : row.values) limit(value);
  }
}

}  // namespace

channel::Stats shown(channel::Stats report) {
  for (std::uint64_t& bytes : report.memory) limit(bytes);
  limit(report.files_open);
  limit(report.files_limit);
  tidy(report.cpus);
  tidy(report.disks);
  tidy(report.networks);
  tidy(report.filesystems);
  return report;
}

std::vector<vm::ListeningSocket> shown(const channel::Listening& report) {
  std::vector<vm::ListeningSocket> out;
  for (const channel::ListeningSocket& socket : report.sockets) {
    out.push_back({.address = address_text(socket.address),
                   .port = socket.port,
                   .process = printable(socket.process)});
  }
  return out;
}

}  // namespace perigee::monitor
