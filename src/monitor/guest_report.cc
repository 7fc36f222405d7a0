#include "monitor/guest_report.h"

#include <arpa/inet.h>
#include <fmt/format.h>

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

enum class Blanks { allowed, replaced };
std::string printable(std::string text, Blanks blanks = Blanks::replaced) {
  for (char& c : text) {
    if (c == ' ' && blanks == Blanks::allowed) continue;
    if (c <= ' ' || c > '~' || c == '"') c = '?';
  }
  return text;
}

vm::ProcessSocket shown(const channel::ProcessSocket& socket) {
  const std::string address = address_text(socket.address);
  const bool bracketed = address.find(':') != std::string::npos;
  return {.protocol = socket.transport == channel::Transport::kTcp ? "tcp" : "udp",
          .address = fmt::format("{}{}{}:{}", bracketed ? "[" : "", address, bracketed ? "]" : "",
                                 socket.port)};
}

std::int64_t bounded(std::uint64_t number) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(number, INT64_MAX));
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

std::vector<vm::ProcessReport> shown(const channel::Processes& report) {
  std::vector<vm::ProcessReport> out;
  for (const channel::Process& process : report.processes) {
    vm::ProcessReport& one = out.emplace_back();
    one.pid = process.pid;
    one.started_unix_s = bounded(process.started_unix_s);
    one.age_ms = bounded(process.age_ms);
    one.cpu_ms = bounded(process.cpu_ms);
    one.rss_bytes = bounded(process.rss_bytes);
    one.command = printable(process.command, Blanks::allowed);
    one.directory = printable(process.directory, Blanks::allowed);
    for (const channel::ProcessSocket& socket : process.sockets)
      one.sockets.push_back(shown(socket));
  }
  return out;
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
