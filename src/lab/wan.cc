#include "lab/wan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "lab/limits.h"

namespace perigee::lab {
namespace {

// Locally administered: "PGL" behind 02, then the port's number.
constexpr std::array<unsigned char, 4> kMacPrefix{0x02, 0x50, 0x47, 0x4c};
constexpr std::size_t kEthernetHeader = 14;
constexpr double kNanosecondsPerSecond = 1e9;
constexpr std::uint64_t kChanceSteps = 1ULL << 53;

unsigned char byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

}  // namespace

std::string port_mac(PortNumber port) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", kMacPrefix[0], kMacPrefix[1],
                     kMacPrefix[2], kMacPrefix[3], port >> 8, port & 0xff);
}

Wan::Wan(std::vector<Port> ports, Site sites, std::uint64_t seed)
    : ports_(std::move(ports)), sites_(sites), paths_(std::size_t{sites} * sites), random_(seed) {
  for (const Port& port : ports_) PERIGEE_CHECK(port.site < sites_);
}

Wan::Path& Wan::directed(Site from, Site to) {
  PERIGEE_CHECK(from < sites_ && to < sites_);
  return paths_[std::size_t{from} * sites_ + to];
}

const Wan::Path& Wan::directed(Site from, Site to) const {
  PERIGEE_CHECK(from < sites_ && to < sites_);
  return paths_[std::size_t{from} * sites_ + to];
}

void Wan::set_path(Site a, Site b, const PathSettings& settings) {
  directed(a, b).settings = settings;
  directed(b, a).settings = settings;
}

const PathSettings& Wan::path(Site a, Site b) const {
  return directed(a, b).settings;
}

const PathCounters& Wan::counters(Site from, Site to) const {
  return directed(from, to).counters;
}

std::optional<PortNumber> Wan::addressee(std::string_view frame) const {
  if (frame.size() < kVirtioHeader + kEthernetHeader) return std::nullopt;
  const std::string_view mac = frame.substr(kVirtioHeader, 6);
  for (std::size_t i = 0; i < kMacPrefix.size(); ++i) {
    if (byte_at(mac, i) != kMacPrefix[i]) return std::nullopt;
  }
  const auto port = static_cast<PortNumber>(byte_at(mac, 4) << 8 | byte_at(mac, 5));
  if (port >= ports_.size()) return std::nullopt;
  return port;
}

bool Wan::has_room(const Path& path, std::size_t bytes) const {
  return path.queued_frames < kMaxPathFrames && path.queued_bytes + bytes <= kMaxPathBytes &&
         queued_bytes_ + bytes <= kMaxWanBytes;
}

bool Wan::loses(const Path& path) {
  if (path.settings.loss <= 0) return false;
  const auto roll = static_cast<double>(random_.below(kChanceSteps));
  return roll < path.settings.loss * static_cast<double>(kChanceSteps);
}

std::optional<MonotonicTime> Wan::transmit(Path& path, std::size_t bytes, MonotonicTime now) {
  if (path.settings.bits_per_second == 0) return now;
  const MonotonicTime start = std::max(now, path.sent);
  if (start - now > kMaxRateWait) return std::nullopt;
  const double seconds =
      static_cast<double>(bytes) * 8 / static_cast<double>(path.settings.bits_per_second);
  path.sent = start + Duration(static_cast<std::int64_t>(seconds * kNanosecondsPerSecond));
  return path.sent;
}

void Wan::receive(PortNumber from, std::string_view frame, MonotonicTime now) {
  PERIGEE_CHECK(from < ports_.size());
  const auto to = addressee(frame);
  if (!to || *to == from) return;
  Path& path = directed(ports_[from].site, ports_[*to].site);
  if (!path.settings.up) {
    ++path.counters.cut;
    return;
  }
  if (loses(path)) {
    ++path.counters.lost;
    return;
  }
  const auto sent = has_room(path, frame.size())
                        ? transmit(path, frame.size() - kVirtioHeader, now + ports_[from].access)
                        : std::nullopt;
  if (!sent) {
    ++path.counters.refused;
    return;
  }
  const Duration travel = path.settings.delay + random_.between(0ns, path.settings.jitter);
  enqueue(path, {.from = from,
                 .to = *to,
                 .due = *sent + travel + ports_[*to].access,
                 .frame = std::string(frame)});
}

bool Wan::later(const Queued& a, const Queued& b) {
  const MonotonicTime due = a.arrival.due;
  return due != b.arrival.due ? due > b.arrival.due : a.order > b.order;
}

void Wan::enqueue(Path& path, Arrival arrival) {
  MonotonicTime& last = last_due_[{arrival.from, arrival.to}];
  last = std::max(last, arrival.due);
  arrival.due = last;
  path.queued_bytes += arrival.frame.size();
  ++path.queued_frames;
  queued_bytes_ += arrival.frame.size();
  queue_.push_back({.order = next_order_++, .arrival = std::move(arrival)});
  std::ranges::push_heap(queue_, later);
}

std::optional<MonotonicTime> Wan::next_due() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.front().arrival.due;
}

std::optional<Arrival> Wan::take_due(MonotonicTime now) {
  while (!queue_.empty() && queue_.front().arrival.due <= now) {
    std::ranges::pop_heap(queue_, later);
    Arrival arrival = std::move(queue_.back().arrival);
    queue_.pop_back();
    Path& path = directed(ports_[arrival.from].site, ports_[arrival.to].site);
    path.queued_bytes -= arrival.frame.size();
    --path.queued_frames;
    queued_bytes_ -= arrival.frame.size();
    if (!path.settings.up) {
      ++path.counters.cut;
      continue;
    }
    ++path.counters.frames;
    path.counters.bytes += arrival.frame.size() - kVirtioHeader;
    return arrival;
  }
  return std::nullopt;
}

bool Wan::may_send_large(PortNumber port) const {
  const Site site = ports_[port].site;
  for (Site other = 0; other < sites_; ++other) {
    const PathSettings& settings = directed(site, other).settings;
    if (settings.loss > 0 || settings.bits_per_second > 0) return false;
  }
  return true;
}

}  // namespace perigee::lab
