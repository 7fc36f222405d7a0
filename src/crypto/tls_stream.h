// TlsStream: a sys::Stream that speaks TLS over another one. Private to crypto.
//
// The reader never writes to the network except a failure's alert, so one reader and one writer may
// run at the same time; writes are whole and in order. A write that is cancelled midway leaves
// records half sent: the stream refuses further writes.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "crypto/tls_session.h"
#include "sys/network.h"

namespace perigee::crypto {

class TlsStream : public sys::Stream {
 public:
  TlsStream(SslPtr ssl, std::unique_ptr<sys::Stream> below);
  ~TlsStream() override;

  async::Task<Result<void>> handshake();
  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  async::Task<Result<void>> write(std::string_view data) override;
  Result<std::optional<std::size_t>> try_read(std::span<char> into) override;
  void when_readable(async::Waiter& waiter) override;
  // Sends close_notify, then ends the stream below.
  Result<void> shutdown_write() override;
  sys::Address peer() const override { return below_->peer(); }
  sys::Address local() const override { return below_->local(); }
  std::string server_name() const { return session_.server_name(); }
  std::string agreed_protocol() const { return session_.agreed_protocol(); }
  bool certificate_covers(const std::string& host) const {
    return session_.certificate_covers(host);
  }
  std::optional<PeerIdentity> peer_identity() const { return session_.peer_identity(); }

 private:
  enum class Writing { idle, busy, broken, closed };
  async::Task<Result<void>> send_outgoing();
  async::Task<Result<void>> receive();
  async::Task<void> close(std::string last);
  void send_alert();

  TlsSession session_;
  std::unique_ptr<sys::Stream> below_;
  bool decrypted_ = false;  // all that has come, and whoever read knows it
  Writing writing_ = Writing::idle;
  async::Task<void> closing_;  // the last records, where the socket does not take them at once
};

}  // namespace perigee::crypto
