#include "worker/exposition.h"

#include <fmt/format.h>

namespace perigee::worker {
namespace {

std::string_view type_name(Exposition::Type type) {
  switch (type) {
    case Exposition::Type::counter:
      return "counter";
    case Exposition::Type::gauge:
      return "gauge";
    case Exposition::Type::untyped:
      break;
  }
  return "untyped";
}

}  // namespace

std::string escape_label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  head_ = fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type_name(type));
}

void Exposition::sample(const Labels& labels, double value) {
  line(labels, fmt::format("{}", value));
}

void Exposition::sample(const Labels& labels, std::uint64_t value) {
  line(labels, fmt::format("{}", value));
}

void Exposition::line(const Labels& labels, std::string_view value) {
  text_ += std::exchange(head_, {});
  text_ += name_;
  char before = '{';
  for (const auto& [name, content] : labels) {
    text_ += fmt::format("{}{}=\"{}\"", before, name, escape_label(content));
    before = ',';
  }
  if (!labels.empty()) text_ += '}';
  text_ += fmt::format(" {}\n", value);
}

}  // namespace perigee::worker
