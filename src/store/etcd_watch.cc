#include "store/etcd_watch.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"

namespace perigee::store::etcd {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr Duration kLongestPause = 1s;
constexpr int kMissedProbes = 2;  // until a member counts as lost

}  // namespace

EtcdWatch::EtcdWatch(sys::Host& host, EtcdClient& client, const EtcdKeys& keys, std::string prefix,
                     Revision after)
    : host_(host),
      client_(client),
      keys_(keys),
      prefix_(std::move(prefix)),
      after_(keys.to_etcd(after)),
      buffer_(kReadBytes),
      pause_(kEtcdRetryPause) {}

async::Task<Result<std::vector<Change>>> EtcdWatch::next() {
  // The call before was cancelled somewhere: what it had read is read again.
  if (state_ == State::in_next) stream_.reset();
  state_ = State::in_next;
  for (;;) {
    auto changes = co_await take_changes();
    if (changes && !changes->empty()) {
      state_ = State::between;
      co_return changes;
    }
    Result<void> received;
    if (!changes)
      received = fail(std::move(changes).error());
    else
      received = stream_ ? co_await receive() : co_await connect();
    if (received) continue;
    if (received.error().code == Code::data_loss) {
      stream_.reset();
      state_ = State::between;
      co_return fail(std::move(received).error());
    }
    disconnect(received.error());
    co_await host_.loop.sleep(pause_);
    pause_ = std::min(pause_ * 2, kLongestPause);
  }
}

async::Task<Result<void>> EtcdWatch::connect() {
  decoder_ = {};
  CO_TRY(stream_, co_await client_.watch(
                      encode_watch(keys_.first(prefix_), keys_.end(prefix_), after_ + 1)));
  const int status = stream_->response->head.status;
  if (status != 200) co_return fail(Code::unavailable, "HTTP status {}", status);
  co_return Result<void>();
}

async::Task<Result<void>> EtcdWatch::receive() {
  std::optional<Result<std::size_t>> read;
  co_await async::first_of(host_.loop, read_some(read), lose_member());
  if (!read) co_return fail(Code::unavailable, "the member does not answer");
  CO_TRY(const std::size_t size, std::move(*read));
  if (size == 0) co_return fail(Code::end_of_stream, "the member closed the connection");
  co_return decoder_.feed({buffer_.data(), size});
}

async::Task<void> EtcdWatch::read_some(std::optional<Result<std::size_t>>& result) {
  result.emplace(co_await stream_->response->body().read(buffer_));
}

// Ends when the member has failed to answer.
async::Task<void> EtcdWatch::lose_member() {
  const std::string probe = encode(RangeQuery{.key = keys_.format_record()});
  for (int missed = 0; missed < kMissedProbes;) {
    co_await host_.loop.sleep(kWatchProbe);
    missed = co_await client_.in_step(stream_->member, probe) ? 0 : missed + 1;
  }
}

// What has been received; nothing where no whole revision is there yet.
async::Task<Result<std::vector<Change>>> EtcdWatch::take_changes() {
  std::vector<Change> out;
  while (out.empty()) {
    auto line = decoder_.next_line();
    if (!line) break;
    CO_TRY(WatchMessage message, co_await parse(*std::move(line)));
    if (message.compacted != 0)
      co_return fail(compacted(keys_.from_etcd(after_), keys_.from_etcd(message.compacted)));
    if (message.ended) {
      client_.renew_token();  // the likeliest reason, and harmless otherwise
      co_return fail(Code::unavailable, "etcd ends the watch: {}", message.reason);
    }
    pause_ = kEtcdRetryPause;
    const Revision progress = message.progress;
    CO_TRY(out, decoder_.complete(std::move(message)));
    after_ = std::max(after_, out.empty() ? progress : out.back().revision);
  }
  for (Change& change : out) {
    change.revision = keys_.from_etcd(change.revision);
    change.key = keys_.store_key(change.key);
  }
  co_return out;
}

async::Task<Result<WatchMessage>> EtcdWatch::parse(std::string line) {
  if (line.size() <= kInlineParse) co_return WatchDecoder::parse(line);
  auto work = [moved = std::move(line)] { return WatchDecoder::parse(moved); };
  co_return co_await host_.pool.run(host_.loop, std::move(work));
}

void EtcdWatch::disconnect(const Error& why) {
  if (stream_) {
    log_info("store", "watch at {}: {}; resuming after revision {}", client_.name(stream_->member),
             why.context, keys_.from_etcd(after_));
    client_.leave(stream_->member);
  }
  stream_.reset();
  decoder_ = {};
}

}  // namespace perigee::store::etcd
