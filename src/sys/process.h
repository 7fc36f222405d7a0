// Processes: starting, watching and ending other programs, as an interface.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "base/time.h"
#include "sys/confinement.h"

namespace perigee::sys {

class Stream;

// How a process ended. An adopted process (not our child) ends as `unknown`.
struct ExitStatus {
  enum class Kind { exited, signaled, unknown } kind = Kind::unknown;
  int value = 0;  // exit code or signal number
  bool success() const { return kind == Kind::exited && value == 0; }
  std::string str() const;  // "exit code 1", "signal 9 (Killed)", "gone"
  bool operator==(const ExitStatus&) const = default;
};

struct Spawn {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH unless it has a slash
  std::optional<std::vector<std::pair<std::string, std::string>>> env =
      std::nullopt;            // unset: inherited
  std::string directory = {};  // unset: inherited
  std::vector<std::pair<int, int>> descriptors =
      {};  // {ours, number in the child}; all others are closed
  std::optional<std::pair<uid_t, gid_t>> user = std::nullopt;  // drops groups too
  bool new_session = false;  // survives our terminal and our death
  // Stay blocked in the program until it takes them up (Host::wait_for_signal): one that comes
  // while it is starting waits for it.
  std::vector<int> held_signals = {};
  int max_open_files = 0;                                 // 0: inherited
  std::optional<Confinement> confinement = std::nullopt;  // without `user` and `directory`
};

class Process {
 public:
  virtual ~Process() = default;  // does not end the process
  virtual pid_t pid() const = 0;
  virtual async::Task<ExitStatus> wait() = 0;
  virtual Result<void> signal(int number) = 0;  // not_found once it has ended
};

// A program that one talks with. It is killed with this, and its session with it.
class Conversation {
 public:
  virtual ~Conversation() = default;
  virtual Stream& stream() = 0;                // its standard input, output and error
  virtual async::Task<ExitStatus> wait() = 0;  // best once the stream has ended
};

struct Completed {
  ExitStatus status;
  std::string out;
  std::string err;
};

class Processes {
 public:
  virtual ~Processes() = default;
  virtual Result<std::unique_ptr<Process>> spawn(const Spawn& spawn) = 0;
  virtual Result<std::unique_ptr<Conversation>> converse(Spawn spawn) = 0;
  // A running process that is not our child (after our own restart).
  virtual Result<std::unique_ptr<Process>> adopt(pid_t pid) = 0;
  // Runs to the end with `input` on standard input; output is bounded. Kills it at the deadline.
  // A status other than 0 is not an error here.
  virtual async::Task<Result<Completed>> run(Spawn spawn, std::string input, Deadline deadline) = 0;
};

// A program's path, by PATH unless it has a slash; not_found.
Result<std::string> find_program(const std::string& name);

// The error for a helper program that failed: its name, status and the last lines of its stderr.
Error helper_failed(const Spawn& spawn, const Completed& completed);

}  // namespace perigee::sys
