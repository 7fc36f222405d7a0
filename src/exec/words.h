// A command line as one text into words, as a POSIX shell would cut it: blanks separate, single and
// double quotes and backslashes hold together. Nothing is expanded. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace perigee::exec {

// `invalid_argument` for a quote that is never closed, and for more than kMaxWords words.
Result<std::vector<std::string>> split_words(std::string_view text);

}  // namespace perigee::exec
