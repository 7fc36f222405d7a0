// The version that programs print.
#pragma once

namespace perigee {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace perigee
