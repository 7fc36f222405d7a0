#include "backhaul/load_teller.h"

#include <utility>

#include "async/combine.h"
#include "backhaul/limits.h"
#include "backhaul/load_line.h"

namespace perigee::backhaul {
namespace {

async::Task<void> until_gone(http::ResponseWriter& response) {
  co_await response.closed();
}

}  // namespace

struct LoadTeller::Follower {
  Follower(async::Loop& loop, std::string node) : from(std::move(node)), wake(loop) {}
  std::string from;
  std::set<std::string> due;        // machines to look at
  std::map<std::string, int> told;  // what it knows of machines that are not at 0
  async::Notify wake;
};

LoadTeller::LoadTeller(async::Loop& loop, const LoadSource& source)
    : loop_(loop), source_(source), wake_(loop) {}

void LoadTeller::changed(const std::string& machine) {
  if (followers_.empty()) return;
  touched_.insert(machine);
  wake_.notify_all();
}

async::Task<void> LoadTeller::run(LoadTeller& teller) {
  for (;;) {
    while (teller.touched_.empty()) co_await teller.wake_.wait();
    teller.spread();
    co_await teller.loop_.sleep(kTellInterval);
  }
}

void LoadTeller::spread() {
  for (Follower* follower : followers_) {
    follower->due.insert(touched_.begin(), touched_.end());
    follower->wake.notify_all();
  }
  touched_.clear();
}

async::Task<void> LoadTeller::serve(std::string from, http::ResponseWriter& response) {
  Follower follower(loop_, std::move(from));
  for (const std::string& machine : source_.loaded_machines()) follower.due.insert(machine);
  const auto place = followers_.insert(followers_.end(), &follower);
  struct Leave {
    std::list<Follower*>& followers;
    std::list<Follower*>::iterator place;
    ~Leave() { followers.erase(place); }
  };
  const Leave leave{followers_, place};
  if (!co_await response.start({.status = 200})) co_return;
  co_await async::first_of(loop_, tell(follower, response), until_gone(response));
}

async::Task<void> LoadTeller::tell(Follower& follower, http::ResponseWriter& response) {
  while (!ended_) {
    const std::string text = news(follower);
    if (!text.empty() && !co_await response.write(text)) co_return;
    if (follower.due.empty() && !ended_) co_await follower.wake.wait();
  }
  std::ignore = co_await response.finish();
}

// What it does not know yet.
std::string LoadTeller::news(Follower& follower) const {
  std::string text;
  for (const std::string& machine : std::exchange(follower.due, {})) {
    const int others = source_.others(machine, follower.from);
    const auto known = follower.told.find(machine);
    if (others == (known == follower.told.end() ? 0 : known->second)) continue;
    text += format_load({.machine = machine, .others = others});
    if (others == 0) {
      follower.told.erase(known);
    } else {
      follower.told[machine] = others;
    }
  }
  return text;
}

void LoadTeller::end() {
  ended_ = true;
  for (Follower* follower : followers_) follower->wake.notify_all();
}

}  // namespace perigee::backhaul
