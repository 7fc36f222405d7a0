#include "lab/visit.h"

#include <algorithm>
#include <set>
#include <span>

#include "base/text.h"
#include "config/paths.h"

namespace perigee::lab {
namespace {

constexpr std::string_view kSchemeEnd = "://";

// The name and port in "http://name:port/…".
Result<std::pair<std::string, std::uint64_t>> host_of(std::string_view url) {
  const auto scheme_end = url.find(kSchemeEnd);
  const std::string_view scheme = url.substr(0, std::min(scheme_end, url.size()));
  if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return fail(Code::invalid_argument, "'{}': expected a URL such as http://APP.{}/", url,
                kDomain);
  }
  const std::string_view rest = url.substr(scheme_end + kSchemeEnd.size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const auto parts = split_once(authority, ':');
  if (!parts)
    return std::pair(std::string(authority),
                     std::uint64_t{scheme == "http" ? kHttpPort : kHttpsPort});
  const auto port = parse_uint(parts->second, 65535);
  if (!port) return fail(Code::invalid_argument, "'{}': bad port", url);
  return std::pair(std::string(parts->first), *port);
}

}  // namespace

std::string authority_file(const Plan& plan) {
  return config::paths_under(plan.controls().front()->root, "").ca_certificate();
}

Result<std::vector<std::string>> curl_command(const Plan& plan, const CityPlan& edge,
                                              const std::vector<std::string>& words) {
  const auto options =
      std::ranges::find_if(words, [](const auto& word) { return word.starts_with('-'); });
  const std::span urls(words.begin(), options);
  std::set<std::string> answers;
  for (const std::string& url : urls) {
    TRY(const auto host, host_of(url));
    if (!host.first.ends_with(fmt::format(".{}", kDomain))) continue;
    answers.insert(fmt::format("{}:{}:{}", host.first, host.second, edge.node.address));
  }
  std::vector<std::string> argv{"curl", "--silent", "--show-error", "--noproxy", "*"};
  for (const std::string& answer : answers) argv.insert(argv.end(), {"--resolve", answer});
  if (std::ranges::any_of(urls, [](const auto& url) { return url.starts_with("https:"); })) {
    argv.insert(argv.end(), {"--cacert", authority_file(plan)});
  }
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

std::string phases_format(const CityPlan& from, const CityPlan& edge) {
  return fmt::format(
      "%{{stderr}}{} to {} (simulated): connected %{{time_connect}} s, TLS %{{time_appconnect}} s, "
      "first byte %{{time_starttransfer}} s, all %{{time_total}} s, HTTP %{{http_code}}\n",
      from.city.code, edge.city.code);
}

}  // namespace perigee::lab
