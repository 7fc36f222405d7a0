// GzipBody: a body on its way out, compressed as it is read (RFC 1952). What has come is passed on
// before more is waited for, so that a slow app's pieces arrive as it sends them.
//
// Holds about 96 KiB of zlib's state and two buffers, whatever the body's size. zlib is seen by
// gzip.cc alone. The source outlives it.
#pragma once

#include <memory>

#include "http/message.h"

namespace perigee::router {

class GzipBody : public http::Body {
 public:
  explicit GzipBody(http::Body& source);
  ~GzipBody() override;

  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  std::size_t ready() const override;
  http::Headers trailers() const override { return source_.trailers(); }

 private:
  struct Deflater;
  http::Body& source_;
  std::unique_ptr<Deflater> deflater_;
};

}  // namespace perigee::router
