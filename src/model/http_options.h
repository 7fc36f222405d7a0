// HttpOptions in JSON, and what holds for them whoever gives them. The shape is fly.io's
// http_options; `affinity` is ours.
//
//   {"h2_backend": true, "compress": true, "affinity": {"cookie": "seat"},
//    "response": {"headers": {"X-Frame-Options": "DENY", "Server": false}, "pristine": true}}
#pragma once

#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "model/port.h"

namespace perigee::model {

json::Value to_json(const HttpOptions& options);
Result<HttpOptions> http_options_from(const json::Value& value);

// RFC 9110 sections 5.1 and 5.5: what may stand as a field's name, and as its value.
bool is_field_name(std::string_view text);
bool is_field_value(std::string_view text);

// "response.headers: Connection is the router's own"
Result<void> validate_http_options(const HttpOptions& options);

}  // namespace perigee::model
