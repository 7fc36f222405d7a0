#include "cli/dotenv.h"

#include "base/text.h"

namespace perigee::cli {
namespace {

constexpr std::string_view kExport = "export ";

std::string_view unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != value.back()) return value;
  if (value.front() != '"' && value.front() != '\'') return value;
  return value.substr(1, value.size() - 2);
}

}  // namespace

Result<Assignment> parse_assignment(std::string_view text, std::string_view where) {
  const auto parts = split_once(text, '=');
  if (!parts || trim(parts->first).empty()) {
    return fail(Code::invalid_argument, "{}: expected NAME=VALUE", where);
  }
  return Assignment(trim(parts->first), parts->second);
}

Result<std::vector<Assignment>> parse_dotenv(std::string_view text) {
  std::vector<Assignment> out;
  int number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with(kExport)) line.remove_prefix(kExport.size());
    TRY(Assignment assignment, parse_assignment(line, fmt::format("line {}", number)));
    assignment.second = std::string(unquoted(trim(assignment.second)));
    out.push_back(std::move(assignment));
  }
  return out;
}

}  // namespace perigee::cli
