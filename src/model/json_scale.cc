// JSON of an app's scale, as its record has it.
#include "model/json.h"
#include "model/json_parts.h"
#include "model/limits.h"
#include "model/scale.h"

namespace perigee::model {
namespace {

Result<RegionCode> region_from(const json::Value& value) {
  const std::string* text = value.string();
  if (text == nullptr) return fail(Code::invalid_argument, "expected a region, such as \"iad\"");
  return parse_region(*text);
}

Result<RegionCount> region_count_from(const json::Value& value) {
  RegionCount out;
  TRY(const std::string region, value.require_string("region"));
  TRY_AS(out.region, parse_region(region), "region");
  TRY(out.count, int_in(value, "count", 0, 0, kMaxScale));
  return out;
}

}  // namespace

json::Value to_json(const Scale& scale) {
  json::Value regions = json::array();
  for (const RegionCode& region : scale.regions) regions.push(region.str());
  json::Value counts = json::array();
  for (const RegionCount& each : scale.region_counts)
    counts.push(json::object({{"region", each.region.str()}, {"count", each.count}}));
  json::Value out = json::object({{"all_regions", scale.all_regions},
                                  {"regions", std::move(regions)},
                                  {"region_counts", std::move(counts)},
                                  {"max_per_region", scale.max_per_region}});
  if (scale.count) out.set("count", *scale.count);
  return out;
}

Result<Scale> scale_from(const json::Value& value) {
  Scale scale;
  TRY(scale.all_regions, value.optional_bool("all_regions", false));
  TRY(scale.regions, list_of<RegionCode>(value, "regions", kMaxRegions, region_from));
  if (const json::Value* count = value.find("count"); count != nullptr && !count->is_null()) {
    TRY(scale.count, int_in(value, "count", 0, 0, kMaxScale));
  }
  TRY(scale.region_counts,
      list_of<RegionCount>(value, "region_counts", kMaxRegions, region_count_from));
  TRY(scale.max_per_region, int_in(value, "max_per_region", 0, 0, kMaxScale));
  return scale;
}

}  // namespace perigee::model
