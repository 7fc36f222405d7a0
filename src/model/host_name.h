// Host names that apps may have beside <app>.<domain>: "www.example.com", or "*.example.com" for
// every name one label below. Text from users; pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::model {

// In lower case, without a final dot. `invalid_argument` says what such a name may be.
Result<std::string> parse_host_name(std::string_view text);

bool is_wildcard(std::string_view host);

}  // namespace perigee::model
