// What a visit of a city's users looks like from the outside: curl's words. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/topology.h"

namespace perigee::lab {

// Apps answer at <app>.lab.test: .test is nobody's (RFC 6761).
inline constexpr std::string_view kDomain = "lab.test";

// curl for `urls`, whose names under the lab's domain are those of that city's edge. Certificates
// are checked against the authority of the lab's fleet.
Result<std::vector<std::string>> curl_command(const Plan& plan, const CityPlan& edge,
                                              const std::vector<std::string>& urls);
// For curl's --write-out: a line on standard error with what each phase took.
std::string phases_format(const CityPlan& from, const CityPlan& edge);

}  // namespace perigee::lab
