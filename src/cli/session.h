// Session: what every command has: the machine, the paths, the options, the API, the terminal.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options.h"
#include "client/client.h"
#include "config/app_config.h"
#include "config/paths.h"
#include "sys/posix_host.h"

namespace perigee::cli {

class Session {
 public:
  Session(sys::PosixHost& host, Options options);

  sys::Host& host() { return host_.host(); }
  sys::PosixHost& posix() { return host_; }
  const config::Paths& paths() const { return paths_; }
  const Options& options() const { return options_; }

  // The API of --api, PERIGEE_API_URL or the CLI's file; an error that says how to get one.
  Result<client::Client*> api();
  // The app of -a or of the configuration file.
  Result<AppName> app() const;

  // What the program exits with after a command that succeeded: that of a process in a machine.
  int exit_status() const { return exit_status_; }
  void set_exit_status(int status) { exit_status_ = status; }

 private:
  sys::PosixHost& host_;
  Options options_;
  config::Paths paths_;
  std::unique_ptr<client::Client> api_;
  int exit_status_ = 0;
};

// ---- the terminal ----

void print(std::string_view line);          // standard output, with a newline
void print_error(const Error& error);       // "error: …" on standard error
void print_json(const json::Value& value);  // pretty
// Columns as wide as their content.
void print_table(const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows);

// "==> words", and when it ends "    done in 1.2 s".
class Step {
 public:
  Step(Session& session, std::string_view words);
  void done(std::string_view result = {});
  // A line that is overwritten on a terminal and left out elsewhere: "  40 % of 109 MiB".
  void progress(std::string_view text);

 private:
  Session& session_;
  MonotonicTime started_;
  bool on_terminal_;
  bool dirty_ = false;
};

std::string human_bytes(std::uint64_t bytes);
// A member as text for a table; "" where absent.
std::string text_of(const json::Value& value, std::string_view key);

}  // namespace perigee::cli
