#include "acme/complaint.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "acme/limits.h"
#include "base/text.h"

namespace perigee::acme {
namespace {

// Of a line `"detail": "…",` of a document that the client prints.
std::optional<std::string> detail_in(std::string_view line) {
  constexpr std::string_view kMember = "\"detail\":";
  line = trim(line);
  if (!line.starts_with(kMember)) return std::nullopt;
  line = trim(line.substr(kMember.size()));
  if (line.ends_with(',')) line.remove_suffix(1);
  if (line.size() < 2 || !line.starts_with('"') || !line.ends_with('"')) return std::nullopt;
  return std::string(line.substr(1, line.size() - 2));
}

// What goes to a terminal and into the store.
std::string clean(std::string text) {
  text.resize(std::min(text.size(), kMaxComplaint));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80) != 0) text.pop_back();
  return text;
}

}  // namespace

std::string complaint_of(const std::vector<std::string>& messages) {
  constexpr std::string_view kName = "uacme: ";
  for (const std::string& line : messages) {
    if (auto detail = detail_in(line)) return clean(*std::move(detail));
  }
  for (const std::string& line : messages) {
    if (line.starts_with(kName)) return clean(line.substr(kName.size()));
  }
  return messages.empty() ? "it said nothing" : clean(messages.front());
}

bool lacks_account(const std::vector<std::string>& messages) {
  return std::ranges::any_of(messages, [](const std::string& line) {
    return line.find("no account associated") != std::string::npos;
  });
}

}  // namespace perigee::acme
