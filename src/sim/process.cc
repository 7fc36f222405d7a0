#include "sim/process.h"

#include <signal.h>

#include <algorithm>

#include "async/combine.h"

namespace perigee::sim {

// A started script; shared by its handles, so that it can be adopted after its starter is gone.
struct SimProcesses::Running {
  Running(async::Loop& loop, Script what) : script(std::move(what)), signalled(loop) {}
  pid_t pid = 0;
  Script script;
  MonotonicTime ends_at;
  std::optional<int> signal;
  async::Notify signalled;

  bool over(MonotonicTime now) const { return signal.has_value() || now >= ends_at; }
  sys::ExitStatus status() const {
    if (!signal) return script.ends;
    return {.kind = sys::ExitStatus::Kind::signaled, .value = *signal};
  }
};

class SimProcesses::Handle : public sys::Process {
 public:
  Handle(async::Loop& loop, std::shared_ptr<Running> running)
      : loop_(loop), running_(std::move(running)) {}
  pid_t pid() const override { return running_->pid; }
  async::Task<sys::ExitStatus> wait() override;
  Result<void> signal(int number) override;

 private:
  static async::Task<void> until_signal(std::shared_ptr<Running> running) {
    co_await running->signalled.wait();
  }
  static async::Task<void> until_end(async::Loop& loop, MonotonicTime at) {
    co_await loop.sleep_until(at);
  }
  async::Loop& loop_;
  std::shared_ptr<Running> running_;
};

async::Task<sys::ExitStatus> SimProcesses::Handle::wait() {
  while (!running_->over(loop_.now())) {
    co_await async::first_of(loop_, until_signal(running_), until_end(loop_, running_->ends_at));
  }
  co_return running_->status();
}

Result<void> SimProcesses::Handle::signal(int number) {
  if (running_->over(loop_.now())) return fail(Code::not_found, "kill: No such process");
  if (number == 0) return {};
  running_->signal = number;
  running_->signalled.notify_all();
  return {};
}

void SimProcesses::script(std::string program, Script script) {
  scripts_[std::move(program)] = std::move(script);
}

Result<std::shared_ptr<SimProcesses::Running>> SimProcesses::start(const sys::Spawn& spawn) {
  const auto found = spawn.argv.empty() ? scripts_.end() : scripts_.find(spawn.argv.front());
  if (found == scripts_.end()) {
    return fail(Code::not_found, "{}: not found (the simulation has no script for it)",
                spawn.argv.empty() ? "''" : spawn.argv.front());
  }
  std::erase_if(running_, [this](const auto& item) { return item.second->over(loop_.now()); });
  auto running = std::make_shared<Running>(loop_, found->second);
  running->pid = next_pid_++;
  running->ends_at = loop_.now() + running->script.runs_for;
  running_[running->pid] = running;
  return running;
}

Result<std::unique_ptr<sys::Process>> SimProcesses::spawn(const sys::Spawn& spawn) {
  TRY(std::shared_ptr<Running> running, start(spawn));
  return std::make_unique<Handle>(loop_, std::move(running));
}

Result<std::unique_ptr<sys::Conversation>> SimProcesses::converse(sys::Spawn spawn) {
  return fail(Code::unsupported, "{}: nobody talks with a script", spawn.argv.front());
}

Result<std::unique_ptr<sys::Process>> SimProcesses::adopt(pid_t pid) {
  const auto found = running_.find(pid);
  if (found == running_.end() || found->second->over(loop_.now())) {
    return fail(Code::not_found, "process {}: No such process", pid);
  }
  return std::make_unique<Handle>(loop_, found->second);
}

async::Task<Result<sys::Completed>> SimProcesses::run(sys::Spawn spawn, std::string /*input*/,
                                                      Deadline deadline) {
  CO_TRY(std::shared_ptr<Running> running, start(spawn));
  Handle handle(loop_, running);
  co_await loop_.sleep_until(std::min(running->ends_at, deadline.at));
  if (!running->over(loop_.now())) {
    running->signal = SIGKILL;
    co_return fail(Code::deadline_exceeded, "{}: no end in time", spawn.argv.front());
  }
  co_return sys::Completed{
      .status = running->status(), .out = running->script.out, .err = running->script.err};
}

void SimProcesses::kill_all() {
  for (auto& [pid, running] : running_) {
    running->signal = SIGKILL;
    running->signalled.notify_all();
  }
  running_.clear();
}

}  // namespace perigee::sim
