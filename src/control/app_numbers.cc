#include "control/app_numbers.h"

#include <algorithm>
#include <array>

#include "base/log.h"

namespace perigee::control {
namespace {

constexpr Duration kRetryNumber = 1s;

std::uint32_t random_number(sys::Entropy& entropy) {
  std::array<std::uint8_t, 4> bytes{};
  entropy.fill(bytes);
  std::uint32_t number = 0;
  for (const std::uint8_t byte : bytes) number = number << 8 | byte;
  return number;
}

bool is_taken(const DesiredTable& desired, std::uint32_t number) {
  return std::ranges::any_of(
      desired.apps(), [number](const auto& each) { return each.second.value.number == number; });
}

std::vector<AppName> without_number(const DesiredTable& desired) {
  std::vector<AppName> out;
  for (const auto& [name, stored] : desired.apps()) {
    if (stored.value.number == 0) out.push_back(name);
  }
  return out;
}

async::Task<Result<void>> number_app(const Context& context, AppName name) {
  CO_TRY(Stored<model::App> app, context.desired.app(name));
  store::Transaction transaction;
  give_number(context, transaction, app.value);
  put(transaction, app.value, app.revision);
  co_return co_await context.commit(std::move(transaction));
}

}  // namespace

void give_number(const Context& context, store::Transaction& transaction, model::App& app) {
  do {
    app.number = random_number(context.host.entropy);
  } while (app.number == 0 || is_taken(context.desired, app.number));
  const std::string key = app_number_key(app.number);
  transaction.expect(key, 0);
  transaction.put(key, json::object({{"app", app.name.str()}}).dump());
}

async::Task<void> number_apps(const Context& context) {
  for (;;) {
    for (const AppName& name : without_number(context.desired)) {
      const Result<void> done = co_await number_app(context, name);
      if (done || done.error().code == Code::not_found) continue;
      if (done.error().code != Code::conflict) {
        log_warning("control", "number of app {}: {}", name, done.error().context);
      }
      co_await context.host.loop.sleep(kRetryNumber);
    }
    co_await context.changed.wait();
  }
}

}  // namespace perigee::control
