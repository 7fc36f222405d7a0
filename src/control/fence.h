// Fence: what the transactions of a background task expect, so that those of a control that leads
// it no more conflict (leadership.h).
#pragma once

#include <string>

#include "store/store.h"

namespace perigee::control {

struct Fence {
  std::string key;               // the task's leader record
  store::Revision revision = 0;  // that made this control its leader; 0: it does not lead
};

}  // namespace perigee::control
