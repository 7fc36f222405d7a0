// What a visit of a city's users looks like from the outside: curl's words. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/topology.h"

namespace perigee::lab {

// Apps answer at <app>.lab.test: .test is nobody's (RFC 6761).
inline constexpr std::string_view kDomain = "lab.test";
inline constexpr std::uint16_t kHttpPort = 80;
inline constexpr std::uint16_t kHttpsPort = 443;

// curl with `words`: URLs, whose names under the lab's domain are those of that city's edge, then
// options, from the first that begins with a dash. Certificates are checked against the authority
// of the lab's fleet.
Result<std::vector<std::string>> curl_command(const Plan& plan, const CityPlan& edge,
                                              const std::vector<std::string>& words);
// The certificate of the authority that signed those of the lab's edges.
std::string authority_file(const Plan& plan);
// For curl's --write-out: a line on standard error with what each phase took.
std::string phases_format(const CityPlan& from, const CityPlan& edge);

}  // namespace perigee::lab
