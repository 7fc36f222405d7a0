#include "router/waker.h"

#include "async/combine.h"
#include "base/log.h"
#include "json/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

std::string reason_in(const std::string& text) {
  const auto body = json::parse(text);
  return body ? body->optional_string("error").value_or("") : std::string();
}

}  // namespace

Waker::Waker(sys::Host& host, State& state, sys::Address control, std::string region)
    : host_(host),
      state_(state),
      control_(std::move(control)),
      region_(std::move(region)),
      client_(host, {}),
      tasks_(host.loop) {}

void Waker::ask(const std::string& app) {
  forget_old();
  Call& known = calls_[app];
  if (known.on_its_way || host_.loop.now() < known.not_before) return;
  known.on_its_way = true;
  if (!tasks_.spawn(call(*this, app))) known.on_its_way = false;
}

std::optional<Waker::Trouble> Waker::trouble(const std::string& app) const {
  const auto found = calls_.find(app);
  return found == calls_.end() ? std::nullopt : found->second.trouble;
}

async::Task<void> Waker::call(Waker& self, std::string app) {
  ++self.state_.counters.wakes;
  std::optional<Trouble> trouble = co_await self.request(app);
  if (trouble) log_warning("router", "wake a machine of {}: {}", app, trouble->reason);
  Call& call = self.calls_[app];
  call.trouble = std::move(trouble);
  call.on_its_way = false;
  const bool refused = call.trouble && call.trouble->refused;
  call.not_before = self.host_.loop.now() + (refused ? kWakeRefusedInterval : kWakeInterval);
  self.state_.changed.notify_all();  // who waits looks at the answer
}

async::Task<std::optional<Waker::Trouble>> Waker::request(std::string app) {
  http::RequestHead head{.method = "POST",
                         .target = fmt::format("/internal/v1/apps/{}/wake?region={}",
                                               http::percent_encode(app), region_)};
  const Deadline deadline = host_.loop.deadline_in(kWakeTimeout);
  auto response = co_await client_.request(control_, std::move(head), {}, deadline);
  if (!response)
    co_return Trouble{.reason =
                          "control can't be reached to start one: " + response.error().context};
  auto text = co_await async::with_deadline(
      host_.loop, deadline, http::read_all((*response)->body(), kMaxAnswer), "control's answer");
  if (!text) co_return Trouble{.reason = text.error().context};
  if ((*response)->head.status == 200) co_return std::nullopt;
  co_return Trouble{.reason = reason_in(*text), .refused = true};
}

// Apps that nobody has asked for lately; a call on its way stays.
void Waker::forget_old() {
  constexpr std::size_t kKept = 256;
  if (calls_.size() < kKept) return;
  const MonotonicTime now = host_.loop.now();
  std::erase_if(calls_, [now](const auto& each) {
    return !each.second.on_its_way && each.second.not_before < now;
  });
}

}  // namespace perigee::router
