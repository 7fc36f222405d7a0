// console, machine exec, kill, ps, console-log: ways into a machine.
#include <algorithm>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/exec_client.h"
#include "exec/words.h"

namespace perigee::cli {
namespace {

async::Task<Result<std::string>> first_started(Session& session, const AppName& app) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const auto machines, co_await api->machines(app.str()));
  const auto found = std::ranges::find(machines, "started", &client::MachineInfo::state);
  if (found != machines.end()) co_return found->id;
  co_return fail(Code::conflict,
                 "{} has no machine that is started (`perigee machine list` shows them, `perigee "
                 "machine start ID` starts one)",
                 app);
}

async::Task<Result<void>> attach(Session& session, const AppName& app, const std::string& machine,
                                 exec::Start start) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(auto stream, co_await api->exec(app.str(), machine));
  start.user = session.options().user;
  ExecClient exec_client(session, std::move(stream));
  CO_TRY(const int status, co_await exec_client.run(std::move(start)));
  session.set_exit_status(status);
  co_return Result<void>();
}

// The terminal's type is the person's own.
std::vector<std::string> terminal_env() {
  const char* const term = std::getenv("TERM");
  if (term == nullptr || *term == '\0') return {};
  return {fmt::format("TERM={}", term)};
}

Result<std::vector<std::string>> console_command(const Options& options) {
  if (!options.command.empty() && !options.command_line.empty())
    return fail(Code::invalid_argument, "give the command with -C or behind --, not both");
  if (!options.command.empty()) return options.command;
  TRY(std::vector<std::string> words, exec::split_words(options.command_line));
  if (words.empty()) words = {"/bin/sh"};
  return words;
}

std::string listens_on(const json::Value& process) {
  std::string out;
  const json::Value* const sockets = process.find("listen_sockets");
  if (sockets == nullptr) return out;
  for (const json::Value& socket : sockets->items())
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", text_of(socket, "proto"),
                       text_of(socket, "address"));
  return out;
}

std::vector<std::string> process_row(const json::Value& process) {
  const std::int64_t rss = process.optional_int("rss", 0).value_or(0);
  return {text_of(process, "pid"),
          text_of(process, "cpu") + "%",
          human_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(rss, 0))),
          text_of(process, "rtime") + " s",
          listens_on(process),
          text_of(process, "command")};
}

}  // namespace

async::Task<Result<void>> run_machine_exec(Session& session) {
  const Options& options = session.options();
  CO_TRY(const AppName app, session.app());
  exec::Start start{.command = options.command, .tty = options.tty};
  if (start.tty) start.env = terminal_env();
  co_return co_await attach(session, app, options.machine, std::move(start));
}

// With a terminal where there is a person at both ends; in a pipe it works without.
async::Task<Result<void>> run_console(Session& session) {
  const Options& options = session.options();
  CO_TRY(const AppName app, session.app());
  exec::Start start{.tty = is_interactive()};
  CO_TRY(start.command, console_command(options));
  if (start.tty) start.env = terminal_env();
  std::string machine = options.machine;
  if (machine.empty()) {
    CO_TRY(machine, co_await first_started(session, app));
  }
  co_return co_await attach(session, app, machine, std::move(start));
}

async::Task<Result<void>> run_machine_kill(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  const std::string& signal = options.on_machine.kill_signal;
  CO_TRY_VOID(co_await api->signal(app.str(), options.machine, signal));
  if (options.json) {
    print_json(json::object({{"machine", options.machine}, {"signal", signal}}));
  } else {
    print(fmt::format("{}: {} was sent.", options.machine, signal));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_ps(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value processes,
         co_await api->processes(app.str(), session.options().machine));
  if (session.options().json) {
    print_json(processes);
    co_return Result<void>();
  }
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& process : processes.items()) rows.push_back(process_row(process));
  print_table({"PID", "CPU", "MEMORY", "TIME", "LISTENS ON", "COMMAND"}, rows);
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_console_log(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const std::string text, co_await api->console(app.str(), session.options().machine));
  if (session.options().json) {
    print_json(json::object({{"machine", session.options().machine}, {"console", text}}));
    co_return Result<void>();
  }
  co_return write_output(OutputTo::out, text);
}

}  // namespace perigee::cli
