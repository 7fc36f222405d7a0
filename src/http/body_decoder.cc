// Bodies without their framing (RFC 9112 sections 6 and 7.1), and chunks in the other direction.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "http/codec.h"
#include "http/codec_text.h"
#include "http/trailers.h"

namespace perigee::http {
namespace {

constexpr std::size_t kMaxSizeDigits = 15;  // below 2^60: no overflow anywhere

std::unexpected<Malformed> refuse(std::string_view why, int status = 400) {
  return std::unexpected(Malformed{.status = status, .why = why});
}

// chunk-size [ chunk-ext ], the extension bounded and ignored. Blanks are refused beside the size:
// peers differ in what they make of them.
Parsed<std::uint64_t> parse_size_line(std::string_view line) {
  const std::string_view digits = line.substr(0, line.find(';'));
  if (digits.empty() || digits.size() > kMaxSizeDigits || !all_of_class(digits, kHexChar)) {
    return refuse("invalid chunk size");
  }
  if (!is_field_value(line)) return refuse("control character in a chunk extension");
  std::uint64_t size = 0;
  for (const char c : digits) {
    const auto digit = static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    size = size * 16 + digit;
  }
  return size;
}

Parsed<void> add_trailer(Headers& trailers, std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) ||
      !is_field_value(line.substr(colon + 1))) {
    return refuse("invalid trailer field");
  }
  if (!may_trail(line.substr(0, colon))) return {};
  if (trailers.fields().size() == kMaxHeaderFields) return refuse("too many trailer fields");
  trailers.add(line.substr(0, colon), trim(line.substr(colon + 1)));
  return {};
}

// Moves input into `line` up to and with its CRLF. `whole` once it is all there.
struct Line {
  std::size_t consumed = 0;
  bool whole = false;
};
Parsed<Line> collect_line(std::string& line, std::string_view input, std::size_t max) {
  const auto feed = input.find('\n');
  const std::size_t take = feed == std::string_view::npos ? input.size() : feed + 1;
  if (line.size() + take > max) return refuse("chunk header or trailer too long");
  line.append(input.substr(0, take));
  if (feed == std::string_view::npos) return Line{.consumed = take};
  if (line.size() < 2 || line[line.size() - 2] != '\r') return refuse("bare line feed");
  line.resize(line.size() - 2);
  return Line{.consumed = take, .whole = true};
}

}  // namespace

BodyDecoder::BodyDecoder(Framing framing)
    : chunked_(framing.kind == Framing::Kind::chunked), left_(framing.length) {
  switch (framing.kind) {
    case Framing::Kind::none:
      state_ = State::done;
      break;
    case Framing::Kind::length:
      state_ = left_ == 0 ? State::done : State::data;
      break;
    case Framing::Kind::chunked:
      state_ = State::size_line;
      break;
    case Framing::Kind::until_close:
      state_ = State::until_close;
      break;
  }
}

Parsed<BodyDecoder::Step> BodyDecoder::step(std::string_view input) {
  switch (state_) {
    case State::done:
      return Step{};
    case State::until_close:
      return Step{.consumed = input.size(), .data = input};
    case State::data:
      return data_step(input);
    case State::size_line:
      return size_step(input);
    case State::data_end:
      return data_end_step(input);
    case State::trailers:
      return trailer_step(input);
  }
  return Step{};
}

std::uint64_t BodyDecoder::contiguous() const {
  if (state_ == State::until_close) return ~std::uint64_t{0};
  return state_ == State::data ? left_ : 0;
}

void BodyDecoder::skip(std::uint64_t size) {
  if (state_ == State::until_close || size == 0) return;
  PERIGEE_CHECK(state_ == State::data && size <= left_);
  left_ -= size;
  if (left_ == 0) state_ = chunked_ ? State::data_end : State::done;
}

Parsed<BodyDecoder::Step> BodyDecoder::data_step(std::string_view input) {
  const std::string_view data =
      input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
  skip(data.size());
  return Step{.consumed = data.size(), .data = data};
}

Parsed<BodyDecoder::Step> BodyDecoder::size_step(std::string_view input) {
  auto line = collect_line(line_, input, kMaxChunkHeaderBytes);
  if (!line) return std::unexpected(line.error());
  if (!line->whole) return Step{.consumed = line->consumed};
  auto size = parse_size_line(line_);
  if (!size) return std::unexpected(size.error());
  line_.clear();
  left_ = *size;
  state_ = left_ == 0 ? State::trailers : State::data;
  return Step{.consumed = line->consumed};
}

// Exactly CRLF after a chunk's data.
Parsed<BodyDecoder::Step> BodyDecoder::data_end_step(std::string_view input) {
  if (input.empty()) return Step{};
  if (input.front() != (line_.empty() ? '\r' : '\n')) return refuse("chunk data without its CRLF");
  if (line_.empty()) {
    line_ = "\r";
  } else {
    line_.clear();
    state_ = State::size_line;
  }
  return Step{.consumed = 1};
}

// One field, or the empty line at the end.
Parsed<BodyDecoder::Step> BodyDecoder::trailer_step(std::string_view input) {
  auto line = collect_line(line_, input, kMaxTrailerBytes - trailer_bytes_);
  if (!line) return std::unexpected(line.error());
  if (!line->whole) return Step{.consumed = line->consumed};
  trailer_bytes_ += line_.size() + 2;
  if (line_.empty()) {
    state_ = State::done;
  } else if (auto added = add_trailer(trailers_, line_); !added) {
    return std::unexpected(added.error());
  }
  line_.clear();
  return Step{.consumed = line->consumed};
}

Parsed<void> BodyDecoder::end_of_input() {
  if (state_ != State::until_close && state_ != State::done) {
    return refuse("the connection ended within a body");
  }
  state_ = State::done;
  return {};
}

void append_chunk(std::string& out, std::string_view data) {
  PERIGEE_CHECK(!data.empty());
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", data.size());
  out.append(data);
  out.append("\r\n");
}

}  // namespace perigee::http
