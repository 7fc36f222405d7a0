// HTTP/1.1 on the wire (RFC 9112) without I/O: heads in and out, bodies without their framing.
//
//   HeadScanner scanner;                       // has the head arrived? never looks at a byte twice
//   TRY(auto end, scanner.scan(buffer));       // nullopt: more bytes are needed
//   TRY(auto head, parse_request_head(buffer.substr(0, *end)));
//   TRY(auto framing, request_framing(head));  // how its body is framed
//   BodyDecoder body(framing);                 // step(bytes) until done()
//
// Strict: what a lenient peer could read in another way is refused, never repaired (request
// smuggling: RFC 9112 section 11.2). A refusal says which response status it deserves.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "http/limits.h"
#include "http/message.h"

namespace perigee::http {

struct Malformed {
  int status = 400;
  std::string_view why{};  // a literal
  bool operator==(const Malformed&) const = default;
};
template <typename T>
using Parsed = std::expected<T, Malformed>;

// Finds the end of a head in a growing buffer. Refuses bare CR or LF and a head over kMaxHeadBytes.
class HeadScanner {
 public:
  // Size of the head with its empty line, once it is all there. `buffer` holds what it held
  // before, and more.
  Parsed<std::optional<std::size_t>> scan(std::string_view buffer);

 private:
  std::size_t line_ = 0;     // where the unfinished line begins
  std::size_t scanned_ = 0;  // no line feed before this
};

// `text`: one whole head as HeadScanner measured it. A target in absolute-form becomes
// origin-form and its authority replaces Host (RFC 9112 section 3.2.2).
Parsed<RequestHead> parse_request_head(std::string_view text);
Parsed<ResponseHead> parse_response_head(std::string_view text);

struct Framing {
  enum class Kind { none, length, chunked, until_close } kind = Kind::none;
  std::uint64_t length = 0;
  bool operator==(const Framing&) const = default;
};
Parsed<Framing> request_framing(const RequestHead& head);
Parsed<Framing> response_framing(const ResponseHead& head, std::string_view request_method);

// Whether the sender of this head keeps its connection open after the message (section 9.3).
bool keeps_alive(int minor_version, const Headers& headers);
// Whether a list-valued field holds `token` (RFC 9110 section 5.6.1), without case.
bool has_token(const Headers& headers, std::string_view name, std::string_view token);

// Takes the framing off a body. Bytes go in as they come; each step gives back a run of them.
class BodyDecoder {
 public:
  explicit BodyDecoder(Framing framing);

  struct Step {
    std::size_t consumed = 0;  // of the input, `data` included
    std::string_view data{};   // a part of the input
  };
  Parsed<Step> step(std::string_view input);
  bool done() const { return state_ == State::done; }
  // Body bytes that must come next with nothing between: a caller may read them from the socket
  // itself and tell by `skip`.
  std::uint64_t contiguous() const;
  void skip(std::uint64_t size);
  // Of a chunked body, once it is done; those that may stand there (http/trailers.h).
  const Headers& trailers() const { return trailers_; }
  // The connection ended: the regular end of a body without framing, else an error.
  Parsed<void> end_of_input();

 private:
  enum class State { data, until_close, size_line, data_end, trailers, done };
  Parsed<Step> data_step(std::string_view input);
  Parsed<Step> size_step(std::string_view input);
  Parsed<Step> data_end_step(std::string_view input);
  Parsed<Step> trailer_step(std::string_view input);

  State state_ = State::done;
  bool chunked_ = false;
  std::uint64_t left_ = 0;  // of the body, or of this chunk
  std::string line_;        // a size or trailer line that has not all arrived
  std::size_t trailer_bytes_ = 0;
  Headers trailers_;
};

// Appends the head with its empty line. `internal` for a name, value, method or target that could
// not be read back as it is (line breaks above all).
Result<void> append_head(std::string& out, const RequestHead& head);
Result<void> append_head(std::string& out, const ResponseHead& head);
void append_chunk(std::string& out, std::string_view data);  // not for empty data

bool is_token(std::string_view text);
bool is_field_value(std::string_view text);
bool is_host(std::string_view text);    // with or without a port
bool is_target(std::string_view text);  // of these characters alone, whatever its form

}  // namespace perigee::http
