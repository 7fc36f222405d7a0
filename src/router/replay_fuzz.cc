// Any bytes as an answer that asks for a replay: as a header's fields, and as JSON. What is taken
// holds what the rest relies on, and changes a head only to one that can be sent.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "http/codec.h"
#include "router/limits.h"
#include "router/replay.h"

namespace {

void check(const perigee::Result<perigee::router::Replay>& replay) {
  using namespace perigee;
  if (!replay) return;
  PERIGEE_CHECK(replay->state.size() <= router::kMaxReplayState);
  PERIGEE_CHECK(replay->state.find_first_of("\r\n") == std::string::npos);
  PERIGEE_CHECK(!replay->timeout || *replay->timeout <= router::kMaxReplayTimeout);
  http::RequestHead head;
  head.headers.add("Host", "hello.test");
  router::apply(replay->transform, head);
  std::string text;
  PERIGEE_CHECK(http::append_head(text, head).has_value());
  PERIGEE_CHECK(http::parse_request_head(text).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(perigee::router::parse_replay(text));
  check(perigee::router::parse_replay_json(text));
  return 0;
}
