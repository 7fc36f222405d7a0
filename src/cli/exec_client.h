// ExecClient: this terminal (or pipe) at one end of an exec stream. Input, window sizes and ^C go
// to the process, its output comes here.
#pragma once

#include <memory>
#include <string>

#include "async/event.h"
#include "async/task_group.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "exec/stream.h"

namespace perigee::cli {

class ExecClient {
 public:
  ExecClient(Session& session, std::unique_ptr<sys::Stream> stream);

  // Begins the session and sees it through. The process's exit status, 128 + signal for a signal.
  async::Task<Result<int>> run(exec::Start start);

 private:
  async::Task<Result<int>> read_answers();
  static async::Task<void> write_out(ExecClient& self);
  static async::Task<void> send_input(ExecClient& self, StandardInput input);
  static async::Task<void> send_window_sizes(ExecClient& self);
  void queue(std::string_view bytes);

  Session& session_;
  std::unique_ptr<sys::Stream> stream_;
  std::string outgoing_;  // one task writes, several have something to say
  async::Notify changed_;
  async::TaskGroup tasks_;
};

}  // namespace perigee::cli
