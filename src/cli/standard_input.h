// What a command reads from standard input: all of it, or a line that a person types.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::cli {

// Up to its end; at most 1 MiB.
Result<std::string> read_standard_input();
// For a value: without the last line break.
Result<std::string> read_input_value();
enum class Echo { yes, no };
// A line from the terminal, asked for with `question`.
Result<std::string> ask_line(std::string_view question, Echo echo);

}  // namespace perigee::cli
