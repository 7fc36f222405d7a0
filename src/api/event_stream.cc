#include "api/event_stream.h"

#include "api/endpoint.h"

namespace perigee::api {

std::string format_event(std::string_view event, const json::Value& data,
                         std::optional<std::int64_t> id) {
  std::string out;
  if (id) out += fmt::format("id: {}\n", *id);
  if (!event.empty()) out += fmt::format("event: {}\n", event);
  return out + "data: " + data.dump() + "\n\n";  // JSON text has no line breaks
}

async::Task<Result<void>> EventStream::start() {
  http::ResponseHead head = response_head(request_, 200, "text/event-stream");
  head.headers.set("Cache-Control", "no-store");
  co_return co_await response_.start(std::move(head));
}

async::Task<Result<void>> EventStream::send(std::string event, json::Value data,
                                            std::optional<std::int64_t> id) {
  const std::string text = format_event(event, data, id);
  co_return co_await response_.write(text);
}

async::Task<Result<void>> EventStream::keep_alive() {
  co_return co_await response_.write(": keep-alive\n\n");
}

async::Task<Result<void>> EventStream::finish() {
  co_return co_await response_.finish();
}

}  // namespace perigee::api
