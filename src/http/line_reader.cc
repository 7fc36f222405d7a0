#include "http/line_reader.h"

#include <vector>

namespace perigee::http {
namespace {

constexpr std::size_t kRead = 64 * 1024;

}  // namespace

Result<std::optional<std::string_view>> LineReader::next() {
  const auto feed = buffer_.find('\n', scanned_);
  if (feed != std::string::npos) {
    const std::string_view line = std::string_view(buffer_).substr(start_, feed - start_);
    start_ = scanned_ = feed + 1;
    return line;
  }
  scanned_ = buffer_.size();
  if (buffer_.size() - start_ > max_line_) {
    return fail(Code::resource_exhausted, "a line of more than {} bytes", max_line_);
  }
  return std::nullopt;
}

async::Task<Result<void>> LineReader::fill() {
  buffer_.erase(0, start_);
  scanned_ -= start_;
  start_ = 0;
  std::vector<char> piece(kRead);
  CO_TRY(const std::size_t n, co_await body_.read(piece));
  if (n == 0) co_return fail(Code::end_of_stream, "the feed ended");
  buffer_.append(piece.data(), n);
  co_return Result<void>();
}

}  // namespace perigee::http
