// JSON of desired state as the store and the feed hold it: ImageRef, App, Machine, Release. Times
// are nanoseconds since 1970 ("created_at_ns").
#include <limits>

#include "base/text.h"
#include "model/egress.h"
#include "model/json.h"
#include "model/json_parts.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

constexpr EnumNames<DesiredState, 4> kDesiredStates{{{DesiredState::started, "started"},
                                                     {DesiredState::stopped, "stopped"},
                                                     {DesiredState::suspended, "suspended"},
                                                     {DesiredState::destroyed, "destroyed"}}};
constexpr EnumNames<Origin, 6> kOrigins{{{Origin::user, "user"},
                                         {Origin::deploy, "deploy"},
                                         {Origin::proxy, "proxy"},
                                         {Origin::autostop, "autostop"},
                                         {Origin::schedule, "schedule"},
                                         {Origin::scale, "scale"}}};
constexpr EnumNames<ReleaseStatus, 4> kReleaseStatuses{{{ReleaseStatus::pending, "pending"},
                                                        {ReleaseStatus::running, "running"},
                                                        {ReleaseStatus::succeeded, "succeeded"},
                                                        {ReleaseStatus::failed, "failed"}}};

Result<WallTime> time_in(const json::Value& value, std::string_view key) {
  TRY(const std::int64_t ns, value.optional_int(key, 0));
  return WallTime{ns};
}

Result<ImageRef> image_in(const json::Value& value) {
  const json::Value* image = value.find("image_ref");
  if (image == nullptr) return ImageRef{};
  TRY_AS(ImageRef ref, image_ref_from(*image), "image_ref");
  return ref;
}

Result<MachineConfig> config_in(const json::Value& value) {
  const json::Value* config = value.find("config");
  if (config == nullptr) return fail(Code::invalid_argument, "config: missing");
  TRY_AS(MachineConfig parsed, machine_config_from(*config), "config");
  return parsed;
}

Result<EgressPolicy> egress_in(const json::Value& value) {
  const json::Value* egress = value.find("egress");
  if (egress == nullptr) return EgressPolicy{};
  TRY_AS(EgressPolicy parsed, egress_policy_from(*egress), "egress");
  return parsed;
}

Result<std::uint32_t> app_number_in(const json::Value& value) {
  TRY(const std::int64_t number, value.optional_int("number", 0));
  if (number < 0 || number > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Code::invalid_argument, "number: {} is not in 0 to 2^32 - 1", number);
  }
  return static_cast<std::uint32_t>(number);
}

json::Value to_json(const AppAddress& address) {
  return json::object({{"address", address.address}, {"created_at_ns", address.created_at.ns}});
}

Result<AppAddress> app_address_from(const json::Value& value) {
  AppAddress address;
  TRY(address.address, value.require_string("address"));
  TRY(address.created_at, time_in(value, "created_at_ns"));
  return address;
}

Result<ReleaseEvent> event_from(const json::Value& value) {
  ReleaseEvent event;
  TRY(event.at, time_in(value, "at_ns"));
  TRY(event.kind, value.require_string("kind"));
  TRY(event.message, value.optional_string("message"));
  return event;
}

}  // namespace

std::string_view name(Origin origin) {
  return name_of(kOrigins, origin);
}

std::string_view name(ReleaseStatus status) {
  return name_of(kReleaseStatuses, status);
}

json::Value to_json(const ImageRef& image) {
  return json::object({{"registry", image.registry},
                       {"repository", image.repository},
                       {"tag", image.tag},
                       {"digest", image.digest}});
}

Result<ImageRef> image_ref_from(const json::Value& value) {
  ImageRef image;
  TRY(image.registry, value.optional_string("registry"));
  TRY(image.repository, value.optional_string("repository"));
  TRY(image.tag, value.optional_string("tag"));
  TRY(image.digest, value.optional_string("digest"));
  return image;
}

json::Value to_json(const App& app) {
  json::Value out = json::object({{"name", app.name.str()},
                                  {"id", app.id},
                                  {"created_at_ns", app.created_at.ns},
                                  {"current_release", app.current_release},
                                  {"last_release", app.last_release},
                                  {"egress", to_json(app.egress)},
                                  {"number", static_cast<std::int64_t>(app.number)}});
  if (app.scale != Scale()) out.set("scale", to_json(app.scale));
  json::Value addresses = json::array();
  for (const AppAddress& each : app.addresses) addresses.push(to_json(each));
  if (!app.addresses.empty()) out.set("addresses", std::move(addresses));
  if (!app.shared_ports.empty()) out.set("shared_ports", json::strings(app.shared_ports));
  return out;
}

Result<App> app_from(const json::Value& value) {
  App app;
  TRY(const std::string name, value.require_string("name"));
  TRY_AS(app.name, parse_app_name(name), "name");
  TRY(app.id, value.optional_string("id"));
  TRY(app.created_at, time_in(value, "created_at_ns"));
  TRY(app.current_release, value.optional_int("current_release", 0));
  TRY(app.last_release, value.optional_int("last_release", 0));
  TRY(app.egress, egress_in(value));
  if (const json::Value* scale = value.find("scale")) {
    TRY_AS(app.scale, scale_from(*scale), "scale");
  }
  TRY(app.number, app_number_in(value));
  TRY(app.addresses, list_of<AppAddress>(value, "addresses", kMaxAddresses, app_address_from));
  TRY(app.shared_ports, value.optional_strings("shared_ports"));
  return app;
}

json::Value to_json(const Machine& machine) {
  json::Value out = json::object({{"id", machine.id.str()},
                                  {"name", machine.name},
                                  {"app", machine.app.str()},
                                  {"region", machine.region.str()},
                                  {"node", machine.node.str()},
                                  {"instance_id", machine.instance_id},
                                  {"version", machine.version},
                                  {"config", to_json(machine.config)},
                                  {"secrets", json::string_map(machine.secrets)},
                                  {"image_ref", to_json(machine.image)},
                                  {"desired", name_of(kDesiredStates, machine.desired)},
                                  {"desired_sequence", machine.desired_sequence},
                                  {"origin", name(machine.origin)},
                                  {"cordoned", machine.cordoned},
                                  {"scheduled_at_ns", machine.scheduled_at.ns},
                                  {"release", machine.release},
                                  {"created_at_ns", machine.created_at.ns},
                                  {"updated_at_ns", machine.updated_at.ns}});
  if (!machine.replaces.empty()) out.set("replaces", machine.replaces.str());
  if (machine.egress != EgressPolicy()) out.set("egress", to_json(machine.egress));
  if (!machine.private_network.empty()) out.set("private_network", machine.private_network);
  if (machine.stop_override) out.set("stop_override", to_json(*machine.stop_override));
  return out;
}

Result<Machine> machine_from(const json::Value& value) {
  Machine machine;
  TRY(const std::string id, value.require_string("id"));
  TRY(const std::string app, value.require_string("app"));
  TRY(const std::string region, value.optional_string("region"));
  TRY(const std::string node, value.optional_string("node"));
  machine.id = MachineId(id);
  machine.app = AppName(app);
  machine.region = RegionCode(region);
  machine.node = NodeId(node);
  TRY(machine.name, value.optional_string("name"));
  TRY(machine.instance_id, value.optional_string("instance_id"));
  TRY(machine.version, value.optional_int("version", 1));
  TRY(machine.config, config_in(value));
  TRY(machine.secrets, value.optional_string_map("secrets"));
  TRY(machine.image, image_in(value));
  TRY(machine.desired, enum_in(kDesiredStates, value, "desired", DesiredState::started));
  TRY(machine.desired_sequence, value.optional_int("desired_sequence", 1));
  TRY(machine.origin, enum_in(kOrigins, value, "origin", Origin::user));
  TRY(machine.cordoned, value.optional_bool("cordoned", false));
  TRY(const std::string replaces, value.optional_string("replaces"));
  machine.replaces = MachineId(replaces);
  TRY(machine.scheduled_at, time_in(value, "scheduled_at_ns"));
  if (const json::Value* stop = value.find("stop_override"); stop != nullptr && stop->is_object()) {
    TRY_AS(machine.stop_override, stop_config_from(*stop, {}), "stop_override");
  }
  TRY(machine.release, value.optional_int("release", 0));
  TRY(machine.created_at, time_in(value, "created_at_ns"));
  TRY(machine.updated_at, time_in(value, "updated_at_ns"));
  TRY(machine.egress, egress_in(value));
  TRY(machine.private_network, value.optional_string("private_network"));
  return machine;
}

json::Value to_json(const Release& release) {
  json::Value events = json::array();
  for (const ReleaseEvent& event : release.events) {
    events.push(
        json::object({{"at_ns", event.at.ns}, {"kind", event.kind}, {"message", event.message}}));
  }
  return json::object({{"app", release.app.str()},
                       {"version", release.version},
                       {"image_ref", to_json(release.image)},
                       {"config", to_json(release.config)},
                       {"status", name_of(kReleaseStatuses, release.status)},
                       {"error", release.error},
                       {"events", std::move(events)},
                       {"created_at_ns", release.created_at.ns}});
}

Result<Release> release_from(const json::Value& value) {
  Release release;
  TRY(const std::string app, value.require_string("app"));
  release.app = AppName(app);
  TRY(release.version, value.require_int("version"));
  TRY(release.image, image_in(value));
  TRY(release.config, config_in(value));
  TRY(release.status, enum_in(kReleaseStatuses, value, "status", ReleaseStatus::pending));
  TRY(release.error, value.optional_string("error"));
  TRY(release.events, list_of<ReleaseEvent>(value, "events", kMaxReleaseEvents, event_from));
  TRY(release.created_at, time_in(value, "created_at_ns"));
  return release;
}

Result<AppName> parse_app_name(std::string_view text) {
  constexpr std::size_t kMaxLabel = 63;
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  bool good =
      !text.empty() && text.size() <= kMaxLabel && letter(text.front()) && text.back() != '-';
  for (const char c : text) good = good && (letter(c) || digit(c) || c == '-');
  if (!good) {
    return fail(Code::invalid_argument,
                "'{}' is not an app name (a-z, 0-9 and -, starting with a letter, at most 63)",
                text);
  }
  return AppName(std::string(text));
}

Result<RegionCode> parse_region(std::string_view text) {
  constexpr std::size_t kLength = 3;
  bool good = text.size() == kLength;
  for (const char c : text) good = good && c >= 'a' && c <= 'z';
  if (!good) {
    return fail(Code::invalid_argument, "'{}' is not a region (three letters, such as iad)", text);
  }
  return RegionCode(std::string(text));
}

}  // namespace perigee::model
