// What both engines agree on: which transactions are acceptable, and which keys a prefix covers.
// Private to the store's engines.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/limits.h"
#include "store/store.h"

namespace perigee::store {

Result<void> validate(const Transaction& transaction);
// The first key after all that begin with `prefix`; nullopt where none bounds them.
std::optional<std::string> end_of_prefix(std::string_view prefix);
Error conflict(std::string_view key, Revision expected, Revision actual);
Error compacted(Revision after, Revision floor);

}  // namespace perigee::store
