// Text that init reads: kernel command line, passwd lines, addresses. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perigee::init {

// The parts between separators, empty ones included; "" is one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);
// The words between spaces, tabs and newlines.
std::vector<std::string_view> words(std::string_view text);
// Decimal digits only, up to 2^32 - 2 (the all-ones id means "none" to the kernel).
std::optional<std::uint32_t> parse_number(std::string_view text);
// The value of "key=value" among the words of the kernel command line.
std::optional<std::string_view> boot_parameter(std::string_view cmdline, std::string_view key);

}  // namespace perigee::init
