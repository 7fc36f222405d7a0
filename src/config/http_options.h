// [http_options] of a port or of [http_service]: how the router speaks HTTP to the app, and what it
// does to responses. Under fly.toml's names; those of features to come are refused.
#pragma once

#include "config/toml.h"
#include "model/types.h"

namespace perigee::config {

// Of the section that holds them; the defaults where it has none.
Result<model::HttpOptions> read_http_options(Section& holder);

}  // namespace perigee::config
