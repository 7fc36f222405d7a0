#include "worker/guest_process.h"

#include <algorithm>
#include <array>
#include <utility>

namespace perigee::worker {
namespace {

using Strings = std::vector<std::string>;

std::string_view key_of(std::string_view assignment) {
  return assignment.substr(0, assignment.find('='));
}

void set_env(Strings& env, std::string_view key, std::string_view value) {
  std::string assignment = fmt::format("{}={}", key, value);
  const auto found =
      std::ranges::find_if(env, [key](const std::string& item) { return key_of(item) == key; });
  if (found != env.end()) {
    *found = std::move(assignment);
  } else {
    env.push_back(std::move(assignment));
  }
}

void remove_env(Strings& env, std::string_view key) {
  std::erase_if(env, [key](const std::string& item) { return key_of(item) == key; });
}

Strings joined_argv(const image::Config& image, const model::Init& init) {
  if (init.exec) return *init.exec;
  Strings argv = init.entrypoint.value_or(image.entrypoint);
  const Strings cmd = init.cmd.value_or(image.cmd);
  argv.insert(argv.end(), cmd.begin(), cmd.end());
  return argv;
}

void add_platform_env(Strings& env, const model::Machine& machine, std::string_view private_ip) {
  const std::string version = machine.instance_id;
  const std::string memory = std::to_string(machine.config.guest.memory_mib);
  const std::array<std::pair<std::string_view, std::string_view>, 7> values{{
      {"APP_NAME", machine.app.str()},
      {"MACHINE_ID", machine.id.str()},
      {"MACHINE_VERSION", version},
      {"REGION", machine.region.str()},
      {"PRIVATE_IP", private_ip},
      {"IMAGE_REF", machine.config.image},
      {"VM_MEMORY_MB", memory},
  }};
  for (const std::string_view prefix : {"PERIGEE_", "FLY_"}) {
    for (const auto& [key, value] : values) set_env(env, fmt::format("{}{}", prefix, key), value);
  }
}

}  // namespace

Result<vm::GuestProcess> guest_process(const image::Config& image, const model::Machine& machine,
                                       std::string_view private_ip) {
  vm::GuestProcess process;
  process.argv = joined_argv(image, machine.config.init);
  if (process.argv.empty()) {
    return fail(Code::invalid_argument,
                "image {}: it has neither ENTRYPOINT nor CMD (set one in the Dockerfile, or "
                "init.cmd in the machine's configuration)",
                machine.config.image);
  }
  process.env = image.env;
  for (const auto& [key, value] : machine.config.env) set_env(process.env, key, value);
  for (const auto& [name, sealed] : machine.secrets) remove_env(process.env, name);
  add_platform_env(process.env, machine, private_ip);
  process.user = image.user;
  process.directory = image.directory;
  process.tty = machine.config.init.tty;
  return process;
}

}  // namespace perigee::worker
