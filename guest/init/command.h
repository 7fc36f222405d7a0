// The app's environment and the file that its argv[0] means, with Docker's rules. `find_program`
// looks at the file system through a function, so that tests need none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "init/result.h"

namespace perigee::init {

inline constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The given "KEY=value" list with PATH and HOME added where absent; the last of a key wins.
std::vector<std::string> complete_environment(const std::vector<std::string>& env,
                                              std::string_view home);
std::string_view environment_value(const std::vector<std::string>& env, std::string_view key);

enum class FileKind { kMissing, kDirectory, kNotExecutable, kExecutable };

// The path to execute for argv[0]: itself when it has a slash, else the first executable along
// PATH. A relative one counts from the working directory.
Result<std::string> find_program(std::string_view name, std::string_view path,
                                 FileKind (*kind_of)(const std::string& file));

// Why execve refused, for a person: the errors that a bad image causes have a sentence each.
std::string exec_failure(std::string_view program, int error);

}  // namespace perigee::init
