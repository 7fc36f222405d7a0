#include "dns/zone.h"

#include <algorithm>
#include <optional>

namespace perigee::dns {
namespace {

constexpr std::string_view kZone = "internal";
constexpr std::string_view kAllApps = "_apps";
constexpr std::string_view kMachines = ".vm";

// What stands before ".<suffix>"; empty for the suffix itself.
std::optional<std::string_view> below(std::string_view name, std::string_view suffix) {
  if (name == suffix) return "";
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  if (!name.ends_with('.')) return std::nullopt;
  name.remove_suffix(1);
  return name;
}

bool wants(const Question& question, Type type) {
  return question.type == type || question.type == Type::any;
}

Answer addresses(const std::vector<NamedHost>& hosts, const Question& question, std::size_t first) {
  Answer answer;
  if (!wants(question, Type::aaaa)) return answer;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const NamedHost& host = hosts[(first + i) % hosts.size()];
    if (auto data = address_data(host.address)) {
      answer.records.push_back({Type::aaaa, *std::move(data)});
    }
  }
  return answer;
}

template <typename F>
std::vector<NamedHost> those(const View& view, F matches) {
  std::vector<NamedHost> out;
  std::ranges::copy_if(view.hosts, std::back_inserter(out), matches);
  return out;
}

// `label`: what stands before the app's name.
Answer resolve_in_app(const View& view, std::string_view label, const Question& question,
                      std::size_t first) {
  if (label.empty()) return addresses(view.hosts, question, first);
  std::vector<NamedHost> hosts;
  if (label.ends_with(kMachines)) {
    label.remove_suffix(kMachines.size());
    hosts = those(view, [label](const NamedHost& host) { return host.id == label; });
  } else {
    hosts = those(view, [label](const NamedHost& host) { return host.region == label; });
  }
  if (hosts.empty()) return {.rcode = Rcode::name_error};
  return addresses(hosts, question, first);
}

}  // namespace

bool is_internal(std::string_view name) {
  return below(name, kZone).has_value();
}

Answer resolve(const View& view, const Question& question, std::size_t first) {
  const auto name = below(question.name, kZone);
  if (!name) return {.rcode = Rcode::refused};
  if (name->empty()) return {};
  if (*name == kAllApps) {
    if (!wants(question, Type::txt)) return {};
    return {.records = {{Type::txt, text_data(view.app)}}};
  }
  const auto label = below(*name, view.app);
  if (!label) return {.rcode = Rcode::name_error};
  return resolve_in_app(view, *label, question, first);
}

}  // namespace perigee::dns
