#include "monitor/http_reply.h"

#include <algorithm>

#include "base/text.h"

namespace perigee::monitor {
namespace {

constexpr std::size_t kMaxHead = std::size_t{8} * 1024;
constexpr std::size_t kMaxBody = std::size_t{64} * 1024;  // Firecracker takes and gives less
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kProtocol = "HTTP/1.";
constexpr std::size_t kStatusAt = 9;  // "HTTP/1.1 204 No Content"
constexpr std::size_t kStatusDigits = 3;

Result<int> status_of(std::string_view line) {
  if (line.starts_with(kProtocol) && line.size() >= kStatusAt + kStatusDigits) {
    const auto status = parse_uint(line.substr(kStatusAt, kStatusDigits), 599);
    if (status && *status >= 100) return static_cast<int>(*status);
  }
  return fail(Code::data_loss, "the VMM's API does not answer in HTTP/1.1");
}

Result<std::size_t> body_length(std::string_view fields) {
  std::optional<std::uint64_t> length;
  for (std::string_view line : split(fields, '\n')) {
    const auto field = split_once(trim(line), ':');
    if (!field) continue;
    if (iequals(field->first, "transfer-encoding")) {
      return fail(Code::data_loss, "the VMM's API sends a body without its length");
    }
    if (!iequals(field->first, "content-length")) continue;
    const auto value = parse_uint(trim(field->second), kMaxBody);
    if (!value || (length && length != value)) {
      return fail(Code::data_loss, "the VMM's API sends Content-Length: {}", trim(field->second));
    }
    length = value;
  }
  return static_cast<std::size_t>(length.value_or(0));
}

}  // namespace

Result<std::optional<HttpReply>> HttpReplyReader::next() {
  const std::size_t head = buffer_.find(kHeadEnd);
  const std::size_t unfinished = buffer_.size() - std::min(buffer_.size(), kHeadEnd.size() - 1);
  if (std::min(head, unfinished) > kMaxHead) {
    return fail(Code::data_loss, "the VMM's API sends a head without an end");
  }
  if (head == std::string::npos) return std::optional<HttpReply>();
  const std::string_view text = std::string_view(buffer_).substr(0, head);
  const std::size_t line = std::min(text.find("\r\n"), text.size());
  HttpReply reply;
  TRY(reply.status, status_of(text.substr(0, line)));
  TRY(const std::size_t length, body_length(text.substr(line)));
  const std::size_t begin = head + kHeadEnd.size();
  if (buffer_.size() - begin < length) return std::optional<HttpReply>();
  reply.body = buffer_.substr(begin, length);
  buffer_.erase(0, begin + length);
  return std::optional<HttpReply>(std::move(reply));
}

}  // namespace perigee::monitor
