// LineReader: the lines of an endless body, bounded, each byte looked at once.
//
//   LineReader lines(response->body(), kMaxLine);
//   for (;;) {
//     CO_TRY(const auto line, lines.next());
//     if (line) use(*line); else CO_TRY_VOID(co_await lines.fill());
//   }
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "async/task.h"
#include "base/result.h"
#include "http/message.h"

namespace perigee::http {

class LineReader {
 public:
  LineReader(Body& body, std::size_t max_line) : body_(body), max_line_(max_line) {}

  // A line that has arrived, without its line feed; nullopt: `fill` first. Valid until `fill`.
  // `resource_exhausted` for a longer one.
  Result<std::optional<std::string_view>> next();
  // `end_of_stream` at the body's end.
  async::Task<Result<void>> fill();

 private:
  Body& body_;
  std::size_t max_line_;
  std::string buffer_;
  std::size_t start_ = 0;
  std::size_t scanned_ = 0;
};

}  // namespace perigee::http
