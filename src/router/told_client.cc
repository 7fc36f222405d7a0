#include "router/told_client.h"

#include <algorithm>
#include <array>

#include "async/combine.h"
#include "base/log.h"
#include "http/prefixed_stream.h"
#include "proxy_protocol/text_header.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

// A stream whose peer is another than the one that it is connected to.
class ToldStream : public sys::Stream {
 public:
  ToldStream(sys::Address client, std::unique_ptr<sys::Stream> inner)
      : client_(std::move(client)), inner_(std::move(inner)) {}

  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    return inner_->read(into);
  }
  async::Task<Result<void>> write(std::string_view data) override { return inner_->write(data); }
  Result<std::optional<std::size_t>> try_read(std::span<char> into) override {
    return inner_->try_read(into);
  }
  void when_readable(async::Waiter& waiter) override { inner_->when_readable(waiter); }
  Result<void> shutdown_write() override { return inner_->shutdown_write(); }
  sys::Address peer() const override { return client_; }
  sys::Address local() const override { return inner_->local(); }

 private:
  sys::Address client_;
  std::unique_ptr<sys::Stream> inner_;
};

struct Told {
  proxy_protocol::Header header;
  std::string rest;  // the client's own first bytes
};

async::Task<Result<Told>> read_header(sys::Stream& stream) {
  std::string bytes;
  std::array<char, proxy_protocol::kMaxHeader> buffer{};
  for (;;) {
    CO_TRY(const std::size_t count, co_await stream.read(buffer));
    if (count == 0) co_return fail(Code::end_of_stream, "it ended before its PROXY header");
    bytes.append(buffer.data(), count);
    CO_TRY(auto decoded, proxy_protocol::decode_any(bytes));
    if (decoded) co_return Told{std::move(decoded->header), bytes.substr(decoded->size)};
  }
}

}  // namespace

async::Task<std::unique_ptr<sys::Stream>> as_told(sys::Host& host, TcpCounters& counters,
                                                  const std::vector<sys::IpPrefix>& tellers,
                                                  std::unique_ptr<sys::Stream> stream) {
  const sys::Address peer = stream->peer();
  const bool listed =
      std::ranges::any_of(tellers, [&](const sys::IpPrefix& each) { return each.contains(peer); });
  if (!listed) co_return stream;
  auto told = co_await async::with_deadline(host.loop, host.loop.deadline_in(kOpeningPatience),
                                            read_header(*stream), "its PROXY header");
  if (!told) {
    ++counters.failed_openings;
    log_debug("router", "{}: {}", peer, told.error().context);
    co_return nullptr;
  }
  const bool for_another =
      told->header.command == proxy_protocol::Command::proxy && told->header.source.has_value();
  const sys::Address client = for_another ? *told->header.source : peer;
  auto rest = std::make_unique<http::PrefixedStream>(std::move(told->rest), std::move(stream));
  co_return std::make_unique<ToldStream>(client, std::move(rest));
}

}  // namespace perigee::router
