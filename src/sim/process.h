// SimProcesses: programs as scripts. A test says what a program does (how long it runs, what it
// writes, how it ends); anything else is "not found".
#pragma once

#include <map>
#include <memory>
#include <string>

#include "async/event.h"
#include "sys/process.h"

namespace perigee::sim {

struct Script {
  Duration runs_for = 10ms;
  sys::ExitStatus ends = {.kind = sys::ExitStatus::Kind::exited, .value = 0};
  std::string out = {};
  std::string err = {};
};

class SimProcesses : public sys::Processes {
 public:
  explicit SimProcesses(async::Loop& loop) : loop_(loop) {}
  // `program` is argv[0] as callers give it.
  void script(std::string program, Script script);

  Result<std::unique_ptr<sys::Process>> spawn(const sys::Spawn& spawn) override;
  // `unsupported`: a script does not listen.
  Result<std::unique_ptr<sys::Conversation>> converse(sys::Spawn spawn) override;
  Result<std::unique_ptr<sys::Process>> adopt(pid_t pid) override;
  async::Task<Result<sys::Completed>> run(sys::Spawn spawn, std::string input,
                                          Deadline deadline) override;
  void kill_all();  // the machine lost its power

 private:
  struct Running;
  class Handle;
  Result<std::shared_ptr<Running>> start(const sys::Spawn& spawn);

  async::Loop& loop_;
  std::map<std::string, Script> scripts_;
  std::map<pid_t, std::shared_ptr<Running>> running_;
  pid_t next_pid_ = 1000;
};

}  // namespace perigee::sim
