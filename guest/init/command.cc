#include "init/command.h"

#include <errno.h>

#include <algorithm>
#include <optional>

#include "init/text.h"

namespace perigee::init {
namespace {

std::string_view key_of(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}

bool has_key(const std::vector<std::string>& env, std::string_view key) {
  return std::ranges::any_of(env, [&](const std::string& entry) { return key_of(entry) == key; });
}

constexpr std::string_view kCheckCommand =
    "check the image's ENTRYPOINT and CMD, or the app's command";

std::string quoted(std::string_view name) {
  return std::string("command \"").append(name).append("\"");
}

std::unexpected<Failure> unusable(std::string_view name, FileKind kind) {
  switch (kind) {
    case FileKind::kDirectory:
      return fail(quoted(name) + " is a directory; " + std::string(kCheckCommand));
    case FileKind::kNotExecutable:
      return fail(quoted(name) + " is not executable; chmod +x it in the Dockerfile");
    default:
      return fail(quoted(name) + ": no such file in the image; " + std::string(kCheckCommand));
  }
}

}  // namespace

std::vector<std::string> complete_environment(const std::vector<std::string>& env,
                                              std::string_view home) {
  std::vector<std::string> complete;
  for (const std::string& entry : env) {
    std::erase_if(complete, [&](const std::string& old) { return key_of(old) == key_of(entry); });
    complete.push_back(entry);
  }
  if (!has_key(complete, "PATH")) {
    complete.push_back("PATH=" + std::string(kDefaultPath));
  }
  if (!has_key(complete, "HOME")) {
    complete.push_back("HOME=" + std::string(home));
  }
  return complete;
}

std::string_view environment_value(const std::vector<std::string>& env, std::string_view key) {
  for (const std::string& entry : env) {
    if (key_of(entry) == key && entry.size() > key.size()) {
      return std::string_view(entry).substr(key.size() + 1);
    }
  }
  return {};
}

Result<std::string> find_program(std::string_view name, std::string_view path,
                                 FileKind (*kind_of)(const std::string& file)) {
  if (name.empty()) {
    return fail("command: empty; give the image an ENTRYPOINT or CMD, or the app a command");
  }
  if (name.find('/') != std::string_view::npos) {
    const FileKind kind = kind_of(std::string(name));
    return kind == FileKind::kExecutable ? Result<std::string>(std::string(name))
                                         : unusable(name, kind);
  }
  for (const std::string_view directory : split(path, ':')) {
    std::string file(directory.empty() ? "." : directory);
    file.append("/").append(name);
    if (kind_of(file) == FileKind::kExecutable) {
      return file;
    }
  }
  return fail(quoted(name) + ": not found in the image's PATH (" + std::string(path) + "); " +
              std::string(kCheckCommand));
}

std::string exec_failure(std::string_view program, int error) {
  switch (error) {
    case ENOENT:
      return quoted(program) +
             ": the file is there, its interpreter is not; check the script's #! line, or the C "
             "library the program was built for";
    case ENOEXEC:
      return quoted(program) +
             ": not a program for this machine; build the image for linux/amd64, or start the "
             "script with a #! line";
    case EACCES:
      return quoted(program) + ": permission denied for the app's user; check its mode and owner";
    default:
      return quoted(program) + ": " + errno_text(error);
  }
}

}  // namespace perigee::init
