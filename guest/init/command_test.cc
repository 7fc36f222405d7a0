#include <doctest/doctest.h>
#include <errno.h>

#include "init/command.h"

namespace perigee::init {
namespace {

FileKind files(const std::string& file) {
  if (file == "/usr/bin/app" || file == "/bin/app" || file == "./run" || file == "bin/run") {
    return FileKind::kExecutable;
  }
  if (file == "/sbin/app" || file == "/etc") {
    return FileKind::kDirectory;
  }
  return file == "/etc/passwd" ? FileKind::kNotExecutable : FileKind::kMissing;
}

TEST_CASE("argv[0] is found along PATH or taken as a path") {
  CHECK(find_program("app", "/sbin:/usr/bin:/bin", files) == "/usr/bin/app");
  CHECK(find_program("run", "/bin:", files) == "./run");
  CHECK(find_program("/bin/app", "", files) == "/bin/app");
  CHECK(find_program("bin/run", "/bin", files) == "bin/run");
}

TEST_CASE("a command that can't run is refused by name and cause") {
  struct Row {
    const char* name;
    const char* says;
  };
  const Row rows[] = {
      {"nosuch", "command \"nosuch\": not found in the image's PATH (/bin)"},
      {"/nosuch", "command \"/nosuch\": no such file in the image"},
      {"/etc", "command \"/etc\" is a directory"},
      {"/etc/passwd", "command \"/etc/passwd\" is not executable"},
      {"", "command: empty"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const auto program = find_program(row.name, "/bin", files);
    REQUIRE_FALSE(program.has_value());
    CHECK(program.error().message.find(row.says) == 0);
  }
  CHECK(exec_failure("/app", ENOENT).find("interpreter") != std::string::npos);
  CHECK(exec_failure("/app", ENOEXEC).find("linux/amd64") != std::string::npos);
}

TEST_CASE("the environment gets PATH and HOME and keeps the last of a key") {
  using List = std::vector<std::string>;
  CHECK(complete_environment({}, "/root") ==
        List{"PATH=" + std::string(kDefaultPath), "HOME=/root"});
  CHECK(complete_environment({"A=1", "PATH=/x", "HOME=", "A=2"}, "/root") ==
        List{"PATH=/x", "HOME=", "A=2"});
  CHECK(environment_value({"PATHS=no", "PATH=/x=y"}, "PATH") == "/x=y");
}

}  // namespace
}  // namespace perigee::init
