// TlsSession: one TLS connection without any I/O: records in, plain bytes out, and the reverse.
//
// Bytes from the network go in by `feed`; what is to be sent collects in `outgoing`. Both buffers
// are empty (and unallocated) while nothing is in flight, and OpenSSL gives its own back, so an
// idle connection costs little. Private to crypto; tls_stream.h moves the bytes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/tls.h"

// OpenSSL's own names for SSL, BIO and BIO_METHOD: its headers stay in the .cc files.
struct ssl_st;
struct bio_st;
struct bio_method_st;

namespace perigee::crypto {

struct SslFree {
  void operator()(ssl_st* ssl) const;
};
using SslPtr = std::unique_ptr<ssl_st, SslFree>;

class TlsSession {
 public:
  enum class Progress { done, needs_input };
  struct Read {
    Progress progress = Progress::done;
    std::size_t size = 0;  // 0 with `done`: the peer's close_notify
  };

  explicit TlsSession(SslPtr ssl);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  void feed(std::string_view records) { incoming_.append(records); }
  void feed_end() { ended_ = true; }
  std::string take_outgoing();
  bool has_outgoing() const { return !outgoing_.empty(); }

  Result<Progress> handshake();
  Result<Read> read(std::span<char> into);
  // All of `data` becomes records in `outgoing`.
  Result<void> write(std::string_view data);
  void close_notify();
  std::string server_name() const;
  std::string agreed_protocol() const;
  bool certificate_covers(const std::string& host) const;
  std::optional<PeerIdentity> peer_identity() const;

 private:
  static bio_method_st* method();
  static int bio_read(bio_st* bio, char* into, int size);
  static int bio_write(bio_st* bio, const char* from, int size);
  static long bio_control(bio_st* bio, int command, long number, void* pointer);
  int pull(bio_st* bio, char* into, int size);
  Error failure(int result, std::string_view what);

  SslPtr ssl_;
  std::string incoming_;
  std::size_t consumed_ = 0;
  bool ended_ = false;
  bool failed_ = false;
  std::string outgoing_;
};

}  // namespace perigee::crypto
