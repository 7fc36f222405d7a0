#include "monitor/guest_link.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <variant>

#include "async/task_group.h"
#include "base/log.h"
#include "channel/codec.h"
#include "channel/decoder.h"
#include "channel/limits.h"

namespace perigee::monitor {
namespace {

constexpr std::size_t kMaxOutgoing = channel::kMaxFrame * 2;
constexpr Duration kConnectTimeout = 1s;
constexpr Duration kReconnectDelay = 20ms;
constexpr Duration kBrokenDelay = 1s;  // after a malformed frame
constexpr std::size_t kReadBuffer = 64 * 1024;

std::uint64_t random_nonce(sys::Entropy& entropy) {
  std::array<std::uint8_t, 8> bytes{};
  entropy.fill(bytes);
  std::uint64_t nonce = 0;
  std::memcpy(&nonce, bytes.data(), sizeof nonce);
  return nonce;
}

// What has changed while the guest was not looking.
std::string news_after_sleep(sys::Host& host) {
  std::array<std::uint8_t, channel::kEntropyBytes> entropy{};
  host.entropy.fill(entropy);
  return channel::encode(channel::Resumed{.unix_ns = host.clock.wall().ns,
                                          .entropy = std::string(entropy.begin(), entropy.end())});
}

}  // namespace

async::Task<void> GuestLink::run() {
  while (true) {
    Duration delay = kReconnectDelay;
    auto stream = co_await vmm_.connect_channel(host_.loop.deadline_in(kConnectTimeout));
    if (stream) {
      const auto ended = co_await converse(**stream);
      attached_ = false;
      listener_.guest_lost();
      if (!ended) {
        log_warning("monitor", "guest channel: {}", ended.error().context);
        delay = kBrokenDelay;
      }
    }
    if (vmm_ended_) co_return;
    co_await host_.loop.sleep(delay);
    if (vmm_ended_ && !stream) co_return;
  }
}

// One connection, to its end. An error means that the guest broke the format.
async::Task<Result<void>> GuestLink::converse(sys::Stream& stream) {
  const std::uint64_t nonce = random_nonce(host_.entropy);
  outgoing_ = channel::encode(channel::Attach{.nonce = nonce, .received = received_});
  const Guest guest = std::exchange(guest_, Guest::found);
  configured_ = guest == Guest::boots;
  if (configured_) outgoing_ += listener_.configuration();
  if (guest == Guest::resumes) outgoing_ += news_after_sleep(host_);
  acknowledged_ = received_;
  channel::HostDecoder decoder(nonce);
  async::TaskGroup writer(host_.loop, 1);
  writer.spawn(write_out(stream));
  std::string buffer(kReadBuffer, '\0');
  while (true) {
    const auto n = co_await stream.read(buffer);
    if (!n || *n == 0) co_return Result<void>();
    decoder.feed(std::string_view(buffer).substr(0, *n));
    while (true) {
      auto message = decoder.next();
      if (!message) {
        co_return fail(Code::data_loss, "malformed frame: {}", channel::to_string(message.error()));
      }
      if (!*message) break;
      co_await handle(std::move(**message));
    }
    if (received_ > acknowledged_) acknowledge(received_);
    const Duration pause = std::exchange(pause_, Duration(0));
    if (pause > 0ns && !vmm_ended_) co_await host_.loop.sleep(pause);
  }
}

async::Task<void> GuestLink::write_out(sys::Stream& stream) {
  while (true) {
    while (outgoing_.empty()) co_await queued_.wait();
    const std::string bytes = std::exchange(outgoing_, {});
    const auto written = co_await stream.write(bytes);
    if (!written) co_return;  // the reader sees the end, too
  }
}

async::Task<void> GuestLink::handle(channel::GuestMessage message) {
  if (const auto* output = std::get_if<channel::Output>(&message)) {
    pause_ = std::max(pause_, listener_.guest_output(*output));
    received_ = std::max(received_, output->sequence);
  } else if (const auto* hello = std::get_if<channel::Hello>(&message)) {
    co_await greet(*hello);
  } else if (const auto* started = std::get_if<channel::Started>(&message)) {
    co_await listener_.guest_started(started->pid);
  } else if (auto* exited = std::get_if<channel::Exited>(&message)) {
    co_await listener_.guest_exited(*exited);
    acknowledge(exited->sequence);
  } else if (auto* failed = std::get_if<channel::Failed>(&message)) {
    const std::uint64_t sequence = failed->sequence;
    co_await listener_.guest_failed(std::move(*failed));
    acknowledge(sequence);
  } else if (auto* listening = std::get_if<channel::Listening>(&message)) {
    listener_.guest_listens(std::move(*listening));
  } else if (auto* stats = std::get_if<channel::Stats>(&message)) {
    listener_.guest_counts(std::move(*stats));
  } else if (auto* processes = std::get_if<channel::Processes>(&message)) {
    listener_.guest_runs(std::move(*processes));
  } else {
    listener_.guest_exec(message);
  }
}

async::Task<void> GuestLink::greet(channel::Hello hello) {
  attached_ = true;
  listener_.guest_spoke();
  if (hello.dropped_bytes > 0) {
    log_warning("monitor", "the guest dropped {} bytes of output while no monitor was there",
                hello.dropped_bytes);
  }
  if (hello.state == channel::GuestState::kWaiting) {
    queue(channel::encode(channel::Time{.unix_ns = host_.clock.wall().ns}));
    if (!configured_) queue(listener_.configuration());
  } else if (hello.state == channel::GuestState::kRunning) {
    co_await listener_.guest_started(hello.pid);
  }
}

void GuestLink::acknowledge(std::uint64_t sequence) {
  received_ = std::max(received_, sequence);
  acknowledged_ = received_;
  queue(channel::encode(channel::Ack{.sequence = received_}));
}

void GuestLink::queue(std::string_view frame) {
  outgoing_ += frame;
  queued_.notify_all();
}

Result<void> GuestLink::send(std::string frame) {
  if (!attached_) return fail(Code::unavailable, "the guest has not answered yet: try again");
  if (outgoing_.size() + frame.size() > kMaxOutgoing) {
    return fail(Code::resource_exhausted, "the guest does not read its control channel");
  }
  queue(frame);
  return {};
}

}  // namespace perigee::monitor
