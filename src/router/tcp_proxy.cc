#include "router/tcp_proxy.h"

#include <array>

#include "async/combine.h"
#include "backhaul/splice.h"
#include "base/log.h"
#include "http/client_share.h"
#include "http/prefixed_stream.h"
#include "proxy_protocol/text_header.h"
#include "router/pg_start.h"

namespace perigee::router {
namespace {

using Opened = Result<std::unique_ptr<sys::Stream>>;
using model::Handler;

constexpr std::size_t kIdBytes = 8;
constexpr int kIdleChecks = 4;  // within the time after which a connection is idle
constexpr int kMaxPgRequests = 2;
constexpr std::size_t kMaxUnread = 64 * 1024;  // of a client that is refused

async::Task<void> accept_into(sys::Listener& listener, std::optional<Opened>& result) {
  result.emplace(co_await listener.accept());
}

async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}

// Ends when no byte went either way for so long.
async::Task<void> until_idle(async::Loop& loop, const backhaul::Traffic& traffic, Duration idle) {
  std::uint64_t seen = 0;
  for (int quiet = 0; quiet < kIdleChecks;) {
    co_await loop.sleep(idle / kIdleChecks);
    const std::uint64_t now = traffic.to_near + traffic.to_far;
    quiet = now == seen ? quiet + 1 : 0;
    seen = now;
  }
}

// Exactly so many bytes, unless a prefix of them decides.
async::Task<Result<std::string>> read_pg_start(sys::Stream& stream) {
  std::string bytes;
  std::array<char, kPgStartBytes> buffer{};
  while (pg_start(bytes) == PgStart::more) {
    CO_TRY(const std::size_t count,
           co_await stream.read(std::span(buffer).first(kPgStartBytes - bytes.size())));
    if (count == 0) co_return fail(Code::end_of_stream, "pg_tls: the client has gone");
    bytes.append(buffer.data(), count);
  }
  co_return bytes;
}

// Says it, and reads on until the client goes: closed with bytes unread, the connection would be
// reset, and what was said be lost.
async::Task<void> part_from(sys::Stream& stream, std::string words) {
  if (!co_await stream.write(words) || !stream.shutdown_write()) co_return;
  std::array<char, 1024> buffer{};
  for (std::size_t i = 0; i < kMaxUnread / buffer.size(); ++i) {
    const auto count = co_await stream.read(buffer);
    if (!count || *count == 0) co_return;
  }
}

std::unique_ptr<sys::Stream> with_prefix(std::string bytes, std::unique_ptr<sys::Stream> stream) {
  return std::make_unique<http::PrefixedStream>(std::move(bytes), std::move(stream));
}

}  // namespace

crypto::TlsTerms terms_of(const routing::PortOwner& owner) {
  const model::TlsOptions& options = owner.port->tls;
  const auto allows = [&](model::TlsVersion version) {
    return options.versions.empty() || std::ranges::count(options.versions, version) > 0;
  };
  return {.hosts = owner.route->hosts,
          .alpn = options.alpn,
          .tls_1_2 = allows(model::TlsVersion::v1_2),
          .tls_1_3 = allows(model::TlsVersion::v1_3)};
}

struct TcpProxy::Connection {
  std::string id;
  routing::PortOwner owner;
  sys::Address client;
  sys::Address listener;
  MonotonicTime begun;
  std::string machine{};
  std::string machine_node{};
  int attempts = 0;
  bool tls = false;
  backhaul::Traffic traffic{};
  std::string reason{};  // why it ended otherwise than by its ends
  bool has(Handler handler) const { return owner.port->has(handler); }
};

TcpProxy::TcpProxy(sys::Host& host, State& state, Dialer& dialer, crypto::TlsServer& tls,
                   AccessLog& log, HttpDoors doors, Settings settings)
    : host_(host),
      state_(state),
      dialer_(dialer),
      tls_(tls),
      log_(log),
      doors_(std::move(doors)),
      settings_(std::move(settings)),
      clients_(kMaxTcpPerClient, http::Loopback::counted),
      draining_(host.loop),
      source_gone_(host.loop),
      tasks_(host.loop, kMaxTcpConnections) {}

TcpProxy::~TcpProxy() {
  tasks_.cancel_all();
}

// Where connections come from.
class TcpProxy::Source {
 public:
  explicit Source(TcpProxy& proxy) : proxy_(proxy) { ++proxy_.sources_; }
  ~Source() {
    --proxy_.sources_;
    proxy_.source_gone_.notify_all();
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

 private:
  TcpProxy& proxy_;
};

std::shared_ptr<TcpProxy::Source> TcpProxy::source() {
  return std::make_shared<Source>(*this);
}

async::Task<void> TcpProxy::serve(std::unique_ptr<sys::Listener> listener) {
  const Source counted(*this);
  while (!draining_.is_set()) {
    std::optional<Opened> accepted;
    co_await async::first_of(host_.loop, accept_into(*listener, accepted), draining_.wait());
    if (!accepted) break;
    if (*accepted) {
      accept(**std::move(accepted));
    } else {
      log_warning("tcp", "{}: {}", listener->local(), accepted->error().context);
      co_await host_.loop.sleep(kAcceptPause);
    }
  }
  if (listener->stop() == sys::Listener::Left::nothing) co_return;
  while (auto accepted = co_await listener->accept()) accept(*std::move(accepted));
}

void TcpProxy::accept(std::unique_ptr<sys::Stream> stream) {
  const sys::Address local = stream->local();
  const auto owner = state_.table->find_owner(model::Protocol::tcp, local.host(), local.port());
  if (!owner) {
    ++state_.tcp.no_service;
    return;
  }
  take(std::move(stream), *owner);
}

void TcpProxy::take(std::unique_ptr<sys::Stream> stream, routing::PortOwner owner) {
  ++state_.tcp.accepted;
  if (owner.port->has(Handler::http)) return hand_over(std::move(stream), owner);
  const async::ShareId share = http::client_share(host_.loop, stream->peer());
  if (!tasks_.spawn_for(share, run(std::move(stream), std::move(owner)))) ++state_.tcp.too_many;
}

void TcpProxy::hand_over(std::unique_ptr<sys::Stream> stream, const routing::PortOwner& owner) {
  auto& door = owner.port->has(Handler::tls) ? doors_.tls : doors_.plain;
  ++(door->push(std::move(stream)) ? state_.tcp.to_http : state_.tcp.too_many);
}

async::Task<void> TcpProxy::run(std::unique_ptr<sys::Stream> stream, routing::PortOwner owner) {
  Connection c{.id = sys::random_hex(host_.entropy, kIdBytes),
               .owner = std::move(owner),
               .client = stream->peer(),
               .listener = stream->local(),
               .begun = host_.loop.now()};
  const http::ClientSlots::Slot slot = clients_.take(c.client);
  AppBudgets::Share share =
      state_.budgets.open(c.owner.route->app.str(), Resource::tcp_connections);
  if (!slot || !share.grow(1)) {
    ++state_.tcp.too_many;
    co_return;
  }
  if (const auto passed = co_await pass(c, std::move(stream)); !passed) {
    c.reason = passed.error().context;
  }
  finish(c);
}

async::Task<Result<void>> TcpProxy::pass(Connection& c, std::unique_ptr<sys::Stream> stream) {
  auto client = co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kOpeningPatience),
                                              open(c, std::move(stream)), "the client's opening");
  if (!client) {
    ++state_.tcp.failed_openings;
    co_return fail(std::move(client).error());
  }
  auto dialed = co_await dialer_.dial({.app = c.owner.route->app.str(),
                                       .internal_port = c.owner.service->internal_port,
                                       .client = c.client,
                                       .listener_port = c.listener.port(),
                                       .id = c.id});
  if (!dialed) {
    ++state_.tcp.unplaced;
    co_return fail(std::move(dialed).error());
  }
  ++state_.tcp.passed_on;
  c.machine = dialed->machine;
  c.machine_node = dialed->node;
  c.attempts = dialed->attempts;
  CO_TRY_VOID(co_await introduce(c, *dialed->stream));
  co_await carry(c, **client, *dialed->stream);
  co_return Result<void>();
}

// The client's stream as the machine is to see it.
async::Task<Opened> TcpProxy::open(Connection& c, std::unique_ptr<sys::Stream> stream) {
  if (c.has(Handler::pg_tls)) co_return co_await open_pg(c, std::move(stream));
  if (!c.has(Handler::tls)) co_return std::move(stream);
  c.tls = true;
  co_return co_await tls_.accept_on(terms_of(c.owner), std::move(stream));
}

async::Task<Opened> TcpProxy::open_pg(Connection& c, std::unique_ptr<sys::Stream> stream) {
  crypto::TlsTerms terms = terms_of(c.owner);
  for (int requests = 0; requests < kMaxPgRequests; ++requests) {
    CO_TRY(std::string bytes, co_await read_pg_start(*stream));
    const PgStart start = pg_start(bytes);
    if (start == PgStart::cancel) co_return with_prefix(std::move(bytes), std::move(stream));
    if (start == PgStart::direct) {
      stream = with_prefix(std::move(bytes), std::move(stream));
      if (terms.alpn.empty()) terms.alpn = {"postgresql"};  // it has to be agreed on
    }
    if (start == PgStart::tls) CO_TRY_VOID(co_await stream->write({&kPgTlsAccepted, 1}));
    if (start == PgStart::tls || start == PgStart::direct) {
      c.tls = true;
      co_return co_await tls_.accept_on(std::move(terms), std::move(stream));
    }
    if (start != PgStart::gss) {
      co_await part_from(*stream,
                         pg_refusal("this port takes TLS connections only (sslmode=require)"));
      co_return fail(Code::data_loss, "pg_tls: the client does not begin with TLS");
    }
    CO_TRY_VOID(co_await stream->write({&kPgGssRefused, 1}));
  }
  co_return fail(Code::data_loss, "pg_tls: the client asks for encryption again and again");
}

// Tells the machine who the client is, before anything of the client's.
async::Task<Result<void>> TcpProxy::introduce(const Connection& c, sys::Stream& machine) {
  if (!c.has(Handler::proxy_proto)) co_return Result<void>();
  proxy_protocol::Header header{.transport = proxy_protocol::Transport::tcp};
  if (c.client.family() == c.listener.family()) {
    header.source = c.client;
    header.destination = c.listener;
  }
  const bool text = c.owner.port->proxy_version == model::ProxyVersion::v1;
  CO_TRY(const std::string bytes,
         text ? proxy_protocol::encode_text(header) : proxy_protocol::encode(header));
  co_return co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kOpeningPatience),
                                          machine.write(bytes), "a PROXY header to the machine");
}

async::Task<void> TcpProxy::carry(Connection& c, sys::Stream& client, sys::Stream& machine) {
  const auto ended =
      co_await async::first_of(host_.loop, backhaul::splice(host_.loop, client, machine, c.traffic),
                               until_idle(host_.loop, c.traffic, settings_.idle));
  if (ended == async::Winner::first) co_return;
  ++state_.tcp.idle;
  c.reason = fmt::format("nothing was said for {} s", to_ms(settings_.idle) / 1000);
}

void TcpProxy::finish(const Connection& c) {
  state_.tcp.to_users += c.traffic.to_near;
  state_.tcp.to_machines += c.traffic.to_far;
  const std::string client = c.client.host();
  const std::string listener = c.listener.str();
  log_.append({.at = host_.clock.wall(),
               .request_id = c.id,
               .client = client,
               .method = "TCP",
               .host = listener,
               .path = {},
               .app = c.owner.route->app.str(),
               .machine = c.machine,
               .machine_node = c.machine_node,
               .relay = {},
               .node = settings_.node,
               .region = settings_.region,
               .reason = c.reason,
               .attempts = c.attempts,
               .tls = c.tls,
               .bytes = c.traffic.to_near,
               .duration = host_.loop.now() - c.begun});
}

async::Task<void> TcpProxy::drain(Deadline deadline) {
  draining_.set();
  co_await async::first_of(host_.loop, drained(), sleep_until(host_.loop, deadline.at));
  tasks_.cancel_all();
}

async::Task<void> TcpProxy::drained() {
  while (sources_ > 0) co_await source_gone_.wait();
  doors_.plain->close();
  doors_.tls->close();
  co_await tasks_.drained();
}

}  // namespace perigee::router
