// App numbers: what tells an app's machines from others in their private addresses
// (docs/formats/mesh.md). Given out once each: the number's own key in the store is made in the
// transaction that gives it, so that not even two control nodes at one moment give it twice.
#pragma once

#include "async/task.h"
#include "control/context.h"

namespace perigee::control {

// Gives `app` a number that no app has, in this transaction.
void give_number(const Context& context, store::Transaction& transaction, model::App& app);

// Apps of a version that gave none get theirs; for ever. By one of all controls (led_tasks.h).
async::Task<void> number_apps(const Context& context);

}  // namespace perigee::control
