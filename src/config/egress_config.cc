#include "config/egress_config.h"

#include "model/egress.h"

namespace perigee::config {

// The model's own reading, so that the file and the API take the same words.
Result<std::optional<model::EgressPolicy>> read_egress(Section& top) {
  TRY(auto section, top.section("egress"));
  if (!section) return std::optional<model::EgressPolicy>();
  TRY(const auto policy, section->string("policy"));
  TRY(const auto allow, section->strings("allow"));
  const std::string_view implied = allow ? "list" : "internet";
  const json::Value form =
      json::object({{"policy", policy.value_or(std::string(implied))},
                    {"allow", json::strings(allow.value_or(std::vector<std::string>{}))}});
  auto egress = model::egress_policy_from(form);
  if (!egress) return section->wrong(allow ? "allow" : "policy", egress.error().context);
  section->warn_unknown();
  return std::optional(*std::move(egress));
}

}  // namespace perigee::config
