// Starts a process in the app's root: the app itself, or one beside it (exec). Resolves its user,
// directory, environment and program, then forks and executes it in a session of its own.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "init/result.h"
#include "init/system.h"
#include "init/terminal.h"
#include "init/user.h"

namespace perigee::init {

enum class Workdir : std::uint8_t { kMade, kMustExist };  // what of a missing directory
enum class Input : std::uint8_t { kNone, kPipe };         // standard input; kNone: /dev/null

struct Command {
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "KEY=value"
  std::string user;              // "name|uid[:group|gid]"; empty: root
  std::string directory;         // empty: "/"
  Workdir workdir = Workdir::kMade;
  Input input = Input::kNone;
  std::optional<WindowSize> terminal;  // in place of pipes
  Newlines newlines = Newlines::kTranslated;
};

// By the image's /etc/passwd and /etc/group.
Result<User> app_user(std::string_view spec);

// Our ends, non-blocking. With a terminal `out` is its master, `err` is empty, and `in` the master
// once more where input was asked for.
struct Child {
  pid_t pid = 0;
  Fd in;
  Fd out;
  Fd err;
};

// Fails also when execve does: the child reports its errno through a pipe before it ends.
Result<Child> spawn(const Command& command);

}  // namespace perigee::init
