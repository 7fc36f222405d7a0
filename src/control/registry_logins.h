// Log-ins at registries, where control itself uses them: to find out which image a reference means.
#pragma once

#include <string>
#include <string_view>

#include "control/context.h"

namespace perigee::control {

secrets::Place place_of_registry(std::string_view registry);
// "ghcr.io", "127.0.0.1:5000", as image references name it; `invalid_argument` for anything else.
Result<std::string> parse_registry(const std::string& text);
// An image of any kind (Images::resolve), with the log-in of its registry where there is one.
async::Task<Result<model::ImageRef>> resolve_image(const Context& context, std::string image);

}  // namespace perigee::control
