// DiskCache: who asks for a disk that is being made waits for that one. The making belongs to the
// cache, not to who asked first: a cancelled caller does not take it from the others.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "async/combine.h"
#include "async/event.h"
#include "async/task_group.h"
#include "image/disk_maker.h"
#include "image/disk_plan.h"
#include "image/image.h"
#include "image/limits.h"

namespace perigee::image {
namespace {

struct Flight {
  explicit Flight(async::Loop& loop) : done(loop) {}
  async::Event done;
  std::optional<Result<Applied>> result;
};
using FlightPtr = std::shared_ptr<Flight>;

}  // namespace

struct DiskCache::State {
  State(sys::Host& machine, std::string place)
      : host(machine),
        directory(std::move(place)),
        slots(machine.loop, kParallelConversions),
        work(machine.loop) {}
  ~State() { *cancel = true; }

  sys::Host& host;
  std::string directory;
  CancelFlag cancel = make_cancel_flag();
  async::Semaphore slots;
  std::map<std::string, FlightPtr> flights;  // by the disk's name
  async::TaskGroup work;                     // last: goes first
};

namespace {

// Runs in the cache's group, so `state` outlives it.
template <typename State>
async::Task<void> fly(State& state, DiskOrder order, FlightPtr flight) {
  {
    const auto slot = co_await state.slots.acquire();
    flight->result = co_await state.host.pool.run(
        state.host.loop, [order, cancel = state.cancel] { return make_disk(order, cancel); });
  }
  state.flights.erase(order.name);
  flight->done.set();
}

template <typename State>
async::Task<Result<Applied>> obtain(std::shared_ptr<State> state, DiskOrder order) {
  FlightPtr& slot = state->flights[order.name];
  FlightPtr flight = slot;
  if (!flight) {
    flight = slot = std::make_shared<Flight>(state->host.loop);
    if (!state->work.spawn(fly(*state, order, flight))) {
      state->flights.erase(order.name);
      co_return fail(Code::resource_exhausted, "too many disks are being made");
    }
  }
  co_await flight->done.wait();
  co_return *flight->result;
}

DiskOrder order_of(const BlobStore& blobs, const std::string& directory, std::string name,
                   std::vector<Layer> layers, LayerRole role) {
  DiskOrder order{.directory = directory,
                  .name = std::move(name),
                  .mark = leaning_mark_name(layers.back()),
                  .layers = std::move(layers),
                  .blobs = {},
                  .role = role};
  for (const Layer& layer : order.layers) order.blobs.push_back(blobs.path_of(layer.digest));
  return order;
}

std::vector<DiskOrder> orders_of(const BlobStore& blobs, const std::string& directory,
                                 const DiskPlan& plan) {
  const auto middle = plan.layers.begin() + static_cast<std::ptrdiff_t>(plan.in_bottom);
  std::vector<DiskOrder> orders;
  orders.push_back(order_of(blobs, directory, bottom_name(plan), {plan.layers.begin(), middle},
                            LayerRole::bottom));
  for (auto it = middle; it != plan.layers.end(); ++it) {
    orders.push_back(order_of(blobs, directory, layer_name(*it), {*it}, LayerRole::overlay));
  }
  return orders;
}

Result<void> check_digests(const Manifest& manifest) {
  if (manifest.layers.empty()) return fail(Code::invalid_argument, "the image has no layers");
  for (const Layer& layer : manifest.layers) {
    TRY_VOID(parse_digest(layer.digest));
    TRY_VOID(parse_digest(layer.diff_id));
  }
  return {};
}

}  // namespace

DiskCache::DiskCache(sys::Host& host, std::string directory)
    : state_(std::make_shared<State>(host, std::move(directory))) {}

async::Task<Result<std::vector<std::string>>> DiskCache::disks_for(BlobStore& blobs,
                                                                   Manifest manifest,
                                                                   int max_disks) {
  CO_TRY_VOID(check_digests(manifest));
  const std::shared_ptr<State> state = state_;
  std::size_t in_bottom = 1;
  // A layer that leans on lower ones joins the lowest disk, so each round makes that larger.
  for (;;) {
    const DiskPlan plan = plan_disks(manifest, max_disks, in_bottom);
    const std::vector<DiskOrder> orders = orders_of(blobs, state->directory, plan);
    std::vector<async::Task<Result<Applied>>> tasks;
    for (const DiskOrder& order : orders) tasks.push_back(obtain(state, order));
    const auto results = co_await async::all_of(state->host.loop, std::move(tasks));
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (!results[i]) co_return fail(results[i].error());
      if (*results[i] == Applied::needs_lower) in_bottom = plan.in_bottom + i;
      paths.push_back(state->directory + "/" + orders[i].name);
    }
    if (in_bottom <= plan.in_bottom) co_return paths;
  }
}

}  // namespace perigee::image
