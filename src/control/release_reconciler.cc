#include "control/release_reconciler.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"
#include "control/machine_frontend.h"
#include "control/registry_logins.h"
#include "control/release_machines.h"
#include "control/route_drain.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

constexpr Duration kLookAgain = 1s;  // where nothing tells of a change
constexpr std::size_t kMaxMessage = 4096;

std::vector<std::string> news_of(const ReleaseView& view) {
  std::vector<std::string> news = progress_of(view);
  std::erase_if(news, [&](const std::string& message) {
    return std::ranges::any_of(view.release.release.events,
                               [&](const auto& event) { return event.message == message; });
  });
  return news;
}

bool is_of(const model::Machine& machine, std::int64_t release) {
  return machine.release == release;
}

// Machines made by hand (release 0) are not a deploy's to touch.
bool is_of_other_release(const model::Machine& machine, std::int64_t release) {
  return machine.release != 0 && machine.release != release;
}

}  // namespace

ReleaseReconciler::ReleaseReconciler(const Context& context)
    : context_(context), tasks_(context.host.loop) {}

async::Task<void> ReleaseReconciler::run() {
  // After a start: placement must know the nodes that there are.
  co_await context_.publisher.settled();
  for (;;) {
    std::vector<ReleaseId> found;
    for (const ReleaseId& id : context_.desired.unfinished_releases()) {
      if (!running_.contains(id)) found.push_back(id);
    }
    for (const ReleaseId& id : found) {
      running_.insert(id);
      if (!tasks_.spawn(carry_out(*this, id))) running_.erase(id);
    }
    co_await context_.changed.wait();
  }
}

async::Task<void> ReleaseReconciler::carry_out(ReleaseReconciler& self, ReleaseId id) {
  bool drained = false;
  while (std::optional<Seen> seen = self.look(id, drained)) {
    const DeployTimes& times = self.context_.times;
    const ReleaseStep step = plan_release(seen->view, self.context_.host.clock.wall(), times);
    Result<void> done;
    if (auto news = news_of(seen->view); !news.empty()) {
      done = co_await self.tell_progress(*std::move(seen), std::move(news));
    } else if (step.kind == ReleaseStep::Kind::drain) {
      co_await drain_routes(self.context_);
      drained = true;
    } else {
      done = co_await self.take(*std::move(seen), step);
    }
    if (done) continue;
    if (done.error().code != Code::conflict)
      log_warning("control", "deploy {} v{}: {}", id.first, id.second, done.error().context);
    // Somebody was faster, or the store is busy: look again at what is there.
    co_await self.context_.host.loop.sleep(done.error().code == Code::conflict ? 10ms : kLookAgain);
  }
  self.running_.erase(id);
}

// Nothing where the release is finished, or gone with its app.
std::optional<ReleaseReconciler::Seen> ReleaseReconciler::look(const ReleaseId& id,
                                                               bool drained) const {
  const auto app = context_.desired.app(id.first);
  const auto release = context_.desired.release(id.first, id.second);
  if (!app || !release || is_finished(release->value.release)) return std::nullopt;
  Seen seen{.view = {.app = app->value,
                     .release = release->value,
                     .ours = {},
                     .holders = {},
                     .drained = drained},
            .app = app->revision,
            .release = release->revision,
            .machines = context_.desired.machines_of(id.first)};
  for (const auto& each : seen.machines) {
    if (is_of_other_release(each.value, id.second)) {
      ++seen.view.others;
      if (holds_volumes_of(each.value, release->value.release.config))
        seen.view.holders.push_back(each.value.id);
    }
    if (!is_of(each.value, id.second)) continue;
    const model::MachineStatus* status = context_.observed.status(each.value.id);
    seen.view.ours.push_back(
        {each.value, status == nullptr ? std::nullopt : std::optional(*status)});
  }
  return seen;
}

async::Task<Result<void>> ReleaseReconciler::take(Seen seen, ReleaseStep step) {
  switch (step.kind) {
    case ReleaseStep::Kind::wait:
      co_return co_await wait(step.wake_at);
    case ReleaseStep::Kind::resolve:
      co_return co_await resolve(std::move(seen));
    case ReleaseStep::Kind::take_over:
      co_return co_await take_over(std::move(seen), std::move(step.machine));
    case ReleaseStep::Kind::create:
      co_return co_await create(std::move(seen), step.missing);
    case ReleaseStep::Kind::activate:
      co_return co_await activate(std::move(seen));
    case ReleaseStep::Kind::drain:
      co_await drain_routes(context_);
      co_return Result<void>();
    case ReleaseStep::Kind::retire:
      co_return co_await retire(std::move(seen));
    case ReleaseStep::Kind::succeed:
      co_return co_await succeed(std::move(seen));
    case ReleaseStep::Kind::fail:
      co_return co_await fail_release(std::move(seen), std::move(step.reason), step.culprit);
  }
  co_return Result<void>();
}

void ReleaseReconciler::add_event(ReleaseRecord& record, std::string_view kind,
                                  std::string message) const {
  auto& events = record.release.events;
  if (message.size() > kMaxMessage) message.resize(kMaxMessage);
  // The last places are for how it ends.
  const std::size_t most = model::kMaxReleaseEvents - (is_finished(record.release) ? 0 : 2);
  if (events.size() < most)
    events.push_back({context_.host.clock.wall(), std::string(kind), std::move(message)});
}

namespace {

async::Task<bool> one_change(async::Notify& changed) {
  co_await changed.wait();
  co_return true;
}

}  // namespace

async::Task<Result<void>> ReleaseReconciler::wait(std::optional<WallTime> wake_at) {
  Duration pause = kLookAgain;
  if (wake_at) pause = std::min(pause, *wake_at - context_.host.clock.wall());
  async::Loop& loop = context_.host.loop;
  co_await async::until(loop, loop.now() + std::max(pause, Duration(1ms)),
                        one_change(context_.changed));
  co_return Result<void>();
}

async::Task<Result<void>> ReleaseReconciler::tell_progress(Seen seen,
                                                           std::vector<std::string> news) {
  for (std::string& message : news) add_event(seen.view.release, "step", std::move(message));
  store::Transaction transaction;
  put(transaction, seen.view.release, seen.release);
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<void>> ReleaseReconciler::resolve(Seen seen) {
  ReleaseRecord& record = seen.view.release;
  Result<model::ImageRef> image = co_await resolve_image(context_, record.release.config.image);
  if (!image) {
    std::string reason =
        fmt::format("image {}: {}", record.release.config.image, image.error().context);
    co_return co_await fail_release(std::move(seen), std::move(reason), {});
  }
  record.release.image = *std::move(image);
  record.release.status = model::ReleaseStatus::running;
  add_event(
      record, "step",
      fmt::format("image {} is {}", record.release.config.image, record.release.image.digest));
  store::Transaction transaction;
  put(transaction, record, seen.release);
  co_return co_await context_.commit(std::move(transaction));
}

// It keeps its place in routing: there is no other to answer meanwhile.
async::Task<Result<void>> ReleaseReconciler::take_over(Seen seen, MachineId id) {
  ReleaseRecord& record = seen.view.release;
  store::Transaction transaction;
  for (const auto& each : seen.machines) {
    if (each.value.id != id) continue;
    put(transaction, taken_over(context_, each.value, record.release), each.revision);
    add_event(record, "step",
              fmt::format("machine {} (v{}) is updated in place: it holds a volume", id,
                          each.value.release));
  }
  put(transaction, record, seen.release);
  co_return co_await context_.commit(std::move(transaction));
}

// A node may come back: what is unavailable is tried again for a while.
async::Task<Result<void>> ReleaseReconciler::fail_placement(Seen seen, Error error) {
  const WallTime patience = seen.view.release.release.created_at + kPlacementPatience;
  const bool may_come = error.code == Code::unavailable;
  if (may_come && context_.host.clock.wall() < patience) co_return co_await wait(patience);
  co_return co_await fail_release(std::move(seen), std::move(error.context), {});
}

async::Task<Result<void>> ReleaseReconciler::create(Seen seen, int missing) {
  ReleaseRecord& record = seen.view.release;
  const Result<Places> places = places_for(context_, seen.view.app, record, missing);
  if (!places) co_return co_await fail_placement(std::move(seen), places.error());
  const auto planned = plan_machines(context_, record, Entry::at_switch, places->additions);
  if (!planned) co_return co_await fail_placement(std::move(seen), planned.error());
  if (!places->left_out.empty()) {
    record.count -= missing - static_cast<int>(places->additions.size());
    add_event(record, "step", places->left_out);
  }
  store::Transaction transaction;
  transaction.expect(app_key(record.release.app), seen.app);
  for (const model::Machine& machine : planned->machines) {
    put(transaction, machine, 0);
    add_event(
        record, "step",
        fmt::format("machine {} is made on {} ({})", machine.id, machine.node, machine.region));
  }
  for (const auto& [volume, revision] : planned->volumes) {
    put(transaction, volume, revision);
    add_event(
        record, "step",
        fmt::format("volume {} ({}, {} MiB) {} machine {}", volume.id, volume.name, volume.size_mib,
                    revision == 0 ? "is made for" : "goes to", volume.machine));
  }
  put(transaction, record, seen.release);
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<void>> ReleaseReconciler::activate(Seen seen) {
  ReleaseRecord& record = seen.view.release;
  const std::int64_t version = record.release.version;
  store::Transaction transaction;
  for (const auto& each : seen.machines) {
    model::Machine machine = each.value;
    const bool cordon = is_of_other_release(machine, version);
    if (!cordon && !is_of(machine, version)) continue;
    if (machine.cordoned == cordon) continue;
    machine.cordoned = cordon;
    put(transaction, machine, each.revision);
  }
  model::App app = seen.view.app;
  app.current_release = version;
  put(transaction, app, seen.app);
  add_event(record, "step", fmt::format("requests go to v{} now", version));
  put(transaction, record, seen.release);
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<void>> ReleaseReconciler::retire(Seen seen) {
  ReleaseRecord& record = seen.view.release;
  store::Transaction transaction;
  for (const auto& each : seen.machines) {
    if (!is_of_other_release(each.value, record.release.version)) continue;
    put(transaction,
        ordered(each.value, model::DesiredState::destroyed, model::Origin::deploy,
                context_.host.clock.wall()),
        each.revision);
    add_event(record, "step",
              fmt::format("machine {} (v{}) goes", each.value.id, each.value.release));
  }
  put(transaction, record, seen.release);
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<void>> ReleaseReconciler::succeed(Seen seen) {
  // "done" means that the next request is served: the routers have the routes.
  co_await context_.sharing.spread();
  ReleaseRecord& record = seen.view.release;
  record.release.status = model::ReleaseStatus::succeeded;
  add_event(record, "done", fmt::format("v{} is live", record.release.version));
  store::Transaction transaction;
  put(transaction, record, seen.release);
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  log_info("control", "deploy {} v{}: live", record.release.app, record.release.version);
  co_return Result<void>();
}

// A machine that was taken over goes back to the release that the app runs; others go.
model::Machine ReleaseReconciler::given_up(const model::Machine& machine,
                                           const model::App& app) const {
  const auto current = context_.desired.release(app.name, app.current_release);
  const bool was_taken_over = machine.version > 1;
  if (was_taken_over && current && holds_volumes_of(machine, current->value.release.config))
    return taken_over(context_, machine, current->value.release);
  return ordered(machine, model::DesiredState::destroyed, model::Origin::deploy,
                 context_.host.clock.wall());
}

async::Task<Result<void>> ReleaseReconciler::fail_release(Seen seen, std::string reason,
                                                          MachineId culprit) {
  ReleaseRecord& record = seen.view.release;
  const auto machine = context_.desired.machines().find(culprit);
  if (machine != context_.desired.machines().end()) {
    const auto lines = co_await context_.worker.tail(record.release.app, at(machine->second.value),
                                                     kFailureLogLines, {});
    for (std::size_t i = 0; lines && i < lines->size(); ++i)
      add_event(record, "log", (*lines)[i].message);
  }
  record.release.status = model::ReleaseStatus::failed;
  record.release.error = reason;
  add_event(record, "error", reason);
  store::Transaction transaction;
  put(transaction, record, seen.release);
  for (const auto& each : seen.machines) {
    if (is_of(each.value, record.release.version))
      put(transaction, given_up(each.value, seen.view.app), each.revision);
  }
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  log_warning("control", "deploy {} v{} failed: {}", record.release.app, record.release.version,
              reason);
  co_return Result<void>();
}

}  // namespace perigee::control
