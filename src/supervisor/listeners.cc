#include "supervisor/listeners.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/text.h"
#include "base/time.h"

namespace perigee::supervisor {
namespace {

constexpr std::uint64_t kMaxDescriptor = 1023;
constexpr Duration kExec = 200ms;
constexpr Duration kExecPause = 2ms;

std::string environment_now(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/environ", pid), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// As it was given at exec. The kernel closes what is to be closed, by which spawn() knows of the
// exec, a moment before the new environment can be read: until then it is empty.
std::string environment_of(pid_t pid) {
  std::string all = environment_now(pid);
  for (Duration waited = 0ms; all.empty() && waited < kExec; waited += kExecPause) {
    std::this_thread::sleep_for(kExecPause);
    all = environment_now(pid);
  }
  return all;
}

// The variable's value in another process's environment.
std::string listeners_of(pid_t pid) {
  const std::string all = environment_of(pid);
  const std::string prefix = std::string(kListenersVariable) + "=";
  for (const std::string_view entry : split(all, '\0')) {
    if (entry.starts_with(prefix)) return std::string(entry.substr(prefix.size()));
  }
  return {};
}

// -1: it is no socket.
int socket_option(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

// A listener, a socket of UDP, or what steers to them, which is no socket.
Result<sys::Fd> copy_descriptor(int pidfd, int number) {
  TRY(sys::Fd copy, sys::own(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0)),
                             fmt::format("copy descriptor {}", number)));
  if (socket_option(copy.get(), SO_TYPE) == SOCK_STREAM &&
      socket_option(copy.get(), SO_ACCEPTCONN) != 1) {
    return fail(Code::data_loss, "descriptor {} is a connection, not a listener", number);
  }
  return copy;
}

}  // namespace

std::string format_listeners(const std::vector<NamedDescriptor>& listeners) {
  std::vector<std::string> parts;
  parts.reserve(listeners.size());
  for (const auto& [name, fd] : listeners) parts.push_back(fmt::format("{}={}", name, fd));
  return join(parts, ",");
}

Result<std::vector<NamedDescriptor>> parse_listeners(std::string_view text) {
  std::vector<NamedDescriptor> out;
  if (text.empty()) return out;
  for (const std::string_view part : split(text, ',')) {
    const auto pair = split_once(part, '=');
    const auto number = pair ? parse_uint(pair->second, kMaxDescriptor) : std::nullopt;
    if (!number || pair->first.empty()) {
      return fail(Code::invalid_argument, "{}: '{}' is not name=descriptor", kListenersVariable,
                  part);
    }
    out.push_back({std::string(pair->first), static_cast<int>(*number)});
  }
  return out;
}

bool started_by_supervisor() {
  return std::getenv(kListenersVariable) != nullptr;
}

void pass_listeners(sys::Spawn& spawn, const std::vector<NamedDescriptor>& ours,
                    const char* variable) {
  std::vector<NamedDescriptor> theirs;
  for (const auto& [name, fd] : ours) {
    const int number = kFirstListener + static_cast<int>(theirs.size());
    theirs.push_back({name, number});
    spawn.descriptors.emplace_back(fd, number);
  }
  set_variable(spawn, variable, format_listeners(theirs));
}

void set_variable(sys::Spawn& spawn, const std::string& name, std::string value) {
  if (!spawn.env) {
    spawn.env.emplace();
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const auto pair = split_once(*entry, '=');
      if (pair) spawn.env->emplace_back(pair->first, pair->second);
    }
  }
  std::erase_if(*spawn.env, [&](const auto& each) { return each.first == name; });
  spawn.env->emplace_back(name, std::move(value));
}

Result<std::multimap<std::string, sys::Fd>> inherited_listeners(const char* variable) {
  const char* text = std::getenv(variable);
  TRY(const std::vector<NamedDescriptor> named, parse_listeners(text == nullptr ? "" : text));
  std::multimap<std::string, sys::Fd> out;
  for (const auto& [name, fd] : named) {
    TRY_VOID(sys::set_cloexec(fd, sys::CloseOnExec::yes));
    out.emplace(name, sys::Fd(fd));
  }
  return out;
}

Result<std::vector<sys::Fd>> copy_listeners_of(pid_t pid, const std::vector<std::string>& names) {
  TRY(const std::vector<NamedDescriptor> held, parse_listeners(listeners_of(pid)));
  TRY(const sys::Fd pidfd,
      sys::own(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open"));
  if (held.size() != names.size()) {
    return fail(Code::conflict, "process {} holds {} listeners, {} are configured", pid,
                held.size(), names.size());
  }
  std::vector<sys::Fd> out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (held[i].name != names[i]) {
      return fail(Code::conflict, "process {} holds listener '{}' where '{}' is configured", pid,
                  held[i].name, names[i]);
    }
    TRY(sys::Fd copy, copy_descriptor(pidfd.get(), held[i].fd));
    out.push_back(std::move(copy));
  }
  return out;
}

}  // namespace perigee::supervisor
