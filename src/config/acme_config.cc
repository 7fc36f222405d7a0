#include "config/acme_config.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/toml.h"

namespace perigee::config {
namespace {

constexpr std::int64_t kMaxUid = 4'000'000'000;
constexpr Duration kLeastPause = 1s;
constexpr Duration kMostRetry = 24h;
constexpr Duration kMostAge = 3650 * 24h;
constexpr std::array<std::string_view, 2> kKeys{"ecdsa", "rsa"};
constexpr const char* kSystemRoots = "/etc/ssl/certs/ca-certificates.crt";

Result<void> read_texts(Section& acme, AcmeConfig& config) {
  const std::pair<const char*, std::string AcmeConfig::*> texts[] = {
      {"directory", &AcmeConfig::directory_url},
      {"contact", &AcmeConfig::contact},
      {"ca", &AcmeConfig::ca_file},
  };
  for (const auto& [key, member] : texts) {
    TRY(auto text, acme.string(key));
    if (text) config.*member = *std::move(text);
  }
  if (!config.directory_url.starts_with("https://")) {
    return acme.wrong("directory",
                      "expected the URL of an authority's directory, such as "
                      "https://acme-v02.api.letsencrypt.org/directory");
  }
  const bool blank = config.contact.find_first_of(" \n\"") != std::string::npos;
  if (blank || config.contact.find(':') != std::string::npos) {
    return acme.wrong("contact", "expected an e-mail address");
  }
  return {};
}

Result<void> read_lists(Section& acme, AcmeConfig& config) {
  TRY(const auto challenges, acme.strings("challenges"));
  if (challenges) {
    config.challenges.clear();
    for (const std::string& text : *challenges) {
      const auto type = model::parse_challenge_type(text);
      if (!type) return acme.wrong("challenges", type.error().context);
      config.challenges.push_back(*type);
    }
  }
  TRY(auto keys, acme.strings("keys"));
  if (keys) config.keys = *std::move(keys);
  for (const std::string& key : config.keys) {
    if (std::ranges::count(kKeys, key) == 0 || std::ranges::count(config.keys, key) > 1)
      return acme.wrong("keys", "expected \"ecdsa\", \"rsa\" or both, each once");
  }
  if (config.challenges.empty()) return acme.wrong("challenges", "name at least one");
  if (config.keys.empty()) return acme.wrong("keys", "name at least one");
  return {};
}

Result<void> read_times(Section& acme, AcmeConfig& config) {
  TRY(config.renew_after, acme.duration("renew_after"));
  if (config.renew_after && (*config.renew_after < kLeastPause || *config.renew_after > kMostAge))
    return acme.wrong("renew_after", "from 1s to 3650d");
  TRY(const auto retry, acme.duration("retry"));
  config.retry = retry.value_or(config.retry);
  if (config.retry < kLeastPause || config.retry > kMostRetry)
    return acme.wrong("retry", "from 1s to 24h");
  return {};
}

}  // namespace

Result<AcmeConfig> read_acme_config(Section& top) {
  AcmeConfig config;
  TRY(auto acme, top.section("acme"));
  if (!acme) return config;
  config.ca_file = kSystemRoots;
  TRY_VOID(read_texts(*acme, config));
  TRY_VOID(read_lists(*acme, config));
  TRY_VOID(read_times(*acme, config));
  TRY(const auto uid, acme->integer("uid", 1, kMaxUid));
  TRY(const auto gid, acme->integer("gid", 1, kMaxUid));
  if (uid) config.uid = static_cast<uid_t>(*uid);
  if (gid) config.gid = static_cast<gid_t>(*gid);
  acme->warn_unknown();
  return config;
}

}  // namespace perigee::config
