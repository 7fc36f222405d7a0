// PosixProcesses: fork and exec, watched by pidfd. Private to sys.
#pragma once

#include "sys/epoll_port.h"
#include "sys/process.h"

namespace perigee::sys {

class PosixProcesses : public Processes {
 public:
  PosixProcesses(EpollPort& port, async::Loop& loop) : port_(port), loop_(loop) {}
  Result<std::unique_ptr<Process>> spawn(const Spawn& spawn) override;
  Result<std::unique_ptr<Conversation>> converse(Spawn spawn) override;
  Result<std::unique_ptr<Process>> adopt(pid_t pid) override;
  async::Task<Result<Completed>> run(Spawn spawn, std::string input, Deadline deadline) override;

 private:
  EpollPort& port_;
  async::Loop& loop_;
};

}  // namespace perigee::sys
