#include "router/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

// Level 4 takes half the time of 6 for a twentieth more bytes (Perigee's own pages, zlib 1.2.13);
// a window of 16 KiB with this memory level is 96 KiB of state (zconf.h), a third of the usual.
constexpr int kLevel = 4;
constexpr int kGzipWindow = 14 + 16;
constexpr int kMemoryLevel = 6;
constexpr std::size_t kBuffer = 16 * 1024;

}  // namespace

struct GzipBody::Deflater {
  Deflater() : input(kBuffer) {
    const int made =
        ::deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY);
    PERIGEE_CHECK(made == Z_OK);
  }
  ~Deflater() { ::deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // Appends what `size` bytes of the input become.
  void take(std::size_t size, int flush) {
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(size);
    do {
      const std::size_t before = output.size();
      output.resize(before + kBuffer);
      stream.next_out = reinterpret_cast<Bytef*>(output.data() + before);
      stream.avail_out = static_cast<uInt>(kBuffer);
      const int done = ::deflate(&stream, flush);
      PERIGEE_CHECK(done != Z_STREAM_ERROR);
      output.resize(output.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  }

  z_stream stream{};
  std::vector<char> input;
  std::string output;
  std::size_t given = 0;  // of the output
  bool finished = false;
};

GzipBody::GzipBody(http::Body& source) : source_(source), deflater_(std::make_unique<Deflater>()) {}
GzipBody::~GzipBody() = default;

std::size_t GzipBody::ready() const {
  return deflater_->output.size() - deflater_->given;
}

async::Task<Result<std::size_t>> GzipBody::read(std::span<char> into) {
  Deflater& d = *deflater_;
  while (ready() == 0 && !d.finished) {
    d.output.clear();
    d.given = 0;
    CO_TRY(const std::size_t count, co_await source_.read(d.input));
    d.finished = count == 0;
    const int flush = d.finished ? Z_FINISH : source_.ready() == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    d.take(count, flush);
  }
  const std::size_t count = std::min(into.size(), ready());
  std::ranges::copy(std::string_view(d.output).substr(d.given, count), into.begin());
  d.given += count;
  co_return count;
}

}  // namespace perigee::router
