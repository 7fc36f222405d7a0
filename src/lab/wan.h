// Wan: the network between the lab's cities, as a calculation: frames go in with the time at which
// they come, and out at the time at which they would have arrived. It knows no descriptor and no
// clock (emulator.h has those), and draws its chances from a seed, so that a test sees the same
// network each time.
//
// A port is somebody's network card. It is at a site (a city), behind an access link of its own; a
// path is what lies between two sites, one setting for both directions. A frame goes over the
// sender's access link, the path, and the receiver's access link. Frames never overtake each other
// on their way from one port to another.
//
//   Wan wan({{.site = 0}, {.site = 1, .access = 5ms}}, /*sites=*/2, /*seed=*/1);
//   wan.set_path(0, 1, {.delay = 40ms});
//   wan.receive(0, frame, now);
//   while (auto arrived = wan.take_due(now)) …
//
// One owner, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/time.h"

namespace perigee::lab {

using Site = std::uint16_t;
using PortNumber = std::uint16_t;

struct Port {
  Site site = 0;
  Duration access{};  // one way, over the last mile
  bool operator==(const Port&) const = default;
};

// Between two sites, each way.
struct PathSettings {
  Duration delay{};
  Duration jitter{};                  // what comes on top of it: from none to that, evenly
  double loss = 0;                    // of frames, 0 to 1
  std::uint64_t bits_per_second = 0;  // 0: no bound
  bool up = true;
  bool operator==(const PathSettings&) const = default;
};

// What happened to frames from one site to another.
struct PathCounters {
  std::uint64_t frames = 0;  // delivered
  std::uint64_t bytes = 0;
  std::uint64_t lost = 0;     // by chance
  std::uint64_t refused = 0;  // by a full queue
  std::uint64_t cut = 0;      // while the path was down
  bool operator==(const PathCounters&) const = default;
};

// A frame as a tap has it: the virtio header, then Ethernet.
inline constexpr std::size_t kVirtioHeader = 10;

// The hardware address of a port; the emulator forwards by it, and nothing has to be learnt.
std::string port_mac(PortNumber port);

struct Arrival {
  PortNumber from = 0;
  PortNumber to = 0;
  MonotonicTime due;
  std::string frame;
};

class Wan {
 public:
  Wan(std::vector<Port> ports, Site sites, std::uint64_t seed);

  std::size_t ports() const { return ports_.size(); }
  Site sites() const { return sites_; }
  Site site_of(PortNumber port) const { return ports_[port].site; }

  // Both directions. A site has a path to itself, too: between the ports that are there.
  void set_path(Site a, Site b, const PathSettings& settings);
  const PathSettings& path(Site a, Site b) const;
  const PathCounters& counters(Site from, Site to) const;

  // A frame that `from` sends. One that is addressed to no port is dropped, broadcasts included:
  // the lab's ports know each other beforehand.
  void receive(PortNumber from, std::string_view frame, MonotonicTime now);
  std::optional<MonotonicTime> next_due() const;
  // The next frame that has arrived by `now`. What was under way when its path was cut is gone.
  std::optional<Arrival> take_due(MonotonicTime now);

  // Whether frames of this port may be larger than what goes over a wire (segmentation offload):
  // only while all of its site's paths are without loss and bound, or one roll of the dice would
  // lose 64 KiB.
  bool may_send_large(PortNumber port) const;

  std::uint64_t queued_bytes() const { return queued_bytes_; }
  std::size_t queued_frames() const { return queue_.size(); }

 private:
  struct Path {
    PathSettings settings;
    PathCounters counters;
    MonotonicTime sent;  // when the last frame has left, where the rate is bounded
    std::uint64_t queued_bytes = 0;
    std::size_t queued_frames = 0;
  };
  struct Queued {
    std::uint64_t order = 0;
    Arrival arrival;
  };
  static bool later(const Queued& a, const Queued& b);

  Path& directed(Site from, Site to);
  const Path& directed(Site from, Site to) const;
  std::optional<PortNumber> addressee(std::string_view frame) const;
  bool has_room(const Path& path, std::size_t bytes) const;
  bool loses(const Path& path);
  // When the path has taken in a frame that comes now; nothing: its buffer is full.
  std::optional<MonotonicTime> transmit(Path& path, std::size_t bytes, MonotonicTime now);
  void enqueue(Path& path, Arrival arrival);

  std::vector<Port> ports_;
  Site sites_;
  std::vector<Path> paths_;  // [from * sites_ + to]
  std::map<std::pair<PortNumber, PortNumber>, MonotonicTime> last_due_;
  std::vector<Queued> queue_;  // a heap, the earliest first
  std::uint64_t next_order_ = 0;
  std::uint64_t queued_bytes_ = 0;
  Random random_;
};

}  // namespace perigee::lab
