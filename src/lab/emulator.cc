#include "lab/emulator.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "lab/limits.h"
#include "sys/netns.h"
#include "sys/tap.h"

namespace perigee::lab {
namespace {

// Suspends until the queue is woken or, with a time, until then. May wake without cause.
class [[nodiscard]] WakeOrTime {
 public:
  WakeOrTime(async::Loop& loop, async::WaiterQueue& queue, std::optional<MonotonicTime> at)
      : waiter_(loop), timer_(waiter_), queue_(queue), at_(at) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.set_handle(handle);
    queue_.push(waiter_);
    if (at_) timer_.arm(*at_);
  }
  void await_resume() const noexcept {}

 private:
  async::Waiter waiter_;
  async::Timer timer_;
  async::WaiterQueue& queue_;
  std::optional<MonotonicTime> at_;
};

}  // namespace

void Lateness::count(Duration late) {
  ++frames;
  if (late > 1ms) ++over_1ms;
  worst = std::max(worst, late);
}

json::Value Lateness::value() const {
  return json::object(
      {{"frames", frames}, {"over_1ms", over_1ms}, {"worst_ms", to_seconds(worst) * 1000}});
}

Emulator::Emulator(sys::PosixHost& host, Plan plan, std::uint64_t seed)
    : host_(host),
      plan_(std::move(plan)),
      wan_(wan_ports(plan_), static_cast<Site>(plan_.cities.size()), seed),
      control_(plan_, wan_),
      deliverer_(host.loop()),
      clients_(host.loop(), kMaxControlClients),
      ports_(host.loop()) {
  control_.reset();
}

Result<std::unique_ptr<Emulator>> Emulator::open(sys::PosixHost& host, Plan plan,
                                                 std::uint64_t seed) {
  std::unique_ptr<Emulator> emulator(new Emulator(host, std::move(plan), seed));
  for (const Endpoint& endpoint : emulator->plan_.endpoints()) {
    TRY_VOID_AS(emulator->open_tap(endpoint), endpoint.network_namespace);
  }
  TRY_VOID(emulator->set_offloads());
  TRY(const sys::Address socket, sys::Address::unix_path(emulator->plan_.wan_socket()));
  TRY(emulator->listener_, host.host().network.listen(socket));
  return emulator;
}

Result<void> Emulator::open_tap(const Endpoint& endpoint) {
  TRY(const auto visit, sys::NetworkNamespaceVisit::enter(endpoint.network_namespace));
  TRY(sys::Fd tap, sys::open_tap(std::string(kInterface)));
  TRY(auto stream, host_.adopt_stream(std::move(tap)));
  taps_.push_back(std::move(stream));
  return {};
}

Result<void> Emulator::set_offloads() {
  for (std::size_t port = 0; port < taps_.size(); ++port) {
    const auto offload = wan_.may_send_large(static_cast<PortNumber>(port))
                             ? sys::TapOffload::segments
                             : sys::TapOffload::checksums;
    TRY_VOID(sys::set_tap_offload(sys::descriptor(*taps_[port]), offload));
  }
  return {};
}

async::Task<void> Emulator::run() {
  for (std::size_t port = 0; port < taps_.size(); ++port) {
    ports_.spawn(take_in(static_cast<PortNumber>(port)));
  }
  ports_.spawn(accept());
  co_await deliver();
}

async::Task<void> Emulator::take_in(PortNumber port) {
  std::vector<char> buffer(kVirtioHeader + kMaxFrame);
  for (;;) {
    for (int i = 0; i < kPortBurst; ++i) {
      const auto n = co_await taps_[port]->read(buffer);
      if (!n) {
        log_error("wan", "port {}: {}; it carries nothing any more", port, n.error().context);
        co_return;
      }
      wan_.receive(port, std::string_view(buffer.data(), *n), now());
      const auto due = wan_.next_due();
      if (due && (!wakes_at_ || *due < *wakes_at_)) deliverer_.wake_all();
    }
    co_await host_.loop().yield();
  }
}

async::Task<void> Emulator::deliver() {
  for (;;) {
    while (const auto arrival = wan_.take_due(now())) co_await hand_over(*arrival);
    wakes_at_ = wan_.next_due();
    co_await WakeOrTime(host_.loop(), deliverer_, wakes_at_);
  }
}

async::Task<void> Emulator::hand_over(const Arrival& arrival) {
  lateness_.count(now() - arrival.due);
  if (wan_.site_of(arrival.from) != wan_.site_of(arrival.to)) {
    capture_.record(host_.host().clock.wall(),
                    std::string_view(arrival.frame).substr(kVirtioHeader));
  }
  // An interface that is not up refuses frames, as a card does without a cable: nobody misses them.
  [[maybe_unused]] const auto written = co_await taps_[arrival.to]->write(arrival.frame);
}

async::Task<void> Emulator::accept() {
  for (;;) {
    auto client = co_await listener_->accept();
    if (!client) {
      log_error("wan", "accept: {}", client.error().context);
      co_await host_.loop().sleep(1s);
    } else if (!clients_.spawn(serve(*std::move(client)))) {
      log_warning("wan", "refused a client: {} are connected", kMaxControlClients);
    }
  }
}

async::Task<void> Emulator::serve(std::unique_ptr<sys::Stream> client) {
  std::string text;
  std::array<char, kMaxControlLine> buffer;
  for (;;) {
    const auto n = co_await client->read(buffer);
    if (!n || *n == 0) co_return;
    text.append(buffer.data(), *n);
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
      const std::string reply = answer(std::string_view(text).substr(0, end));
      text.erase(0, end + 1);
      if (!co_await client->write(reply)) co_return;
    }
    if (text.size() > kMaxControlLine) co_return;
  }
}

std::string Emulator::answer(std::string_view line) {
  const auto request = decode_wan_request(line);
  const auto done = request ? perform(*request) : fail(request.error());
  if (done) return done->dump() + "\n";
  return json::object({{"ok", false},
                       {"code", info(done.error().code).name},
                       {"error", done.error().context}})
             .dump() +
         "\n";
}

Result<json::Value> Emulator::perform(const WanRequest& request) {
  if (request.action != WanRequest::Action::capture) {
    TRY(json::Value done, control_.apply(request));
    TRY_VOID(set_offloads());
    if (request.action == WanRequest::Action::stat) done.set("lateness", lateness_.value());
    return done;
  }
  TRY_VOID(request.file.empty() ? capture_.end() : capture_.begin(request.file));
  return json::object({{"ok", true}});
}

}  // namespace perigee::lab
