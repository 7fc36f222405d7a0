#include "init/names.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/system.h"

namespace perigee::init {

std::string hosts_file(const channel::Configure& configure) {
  std::string content =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n";
  for (const std::string& line : configure.hosts) {
    content.append(line).append("\n");
  }
  return content;
}

std::string resolver_file(const channel::Configure& configure) {
  std::string content;
  for (const std::string& address : configure.nameservers) {
    content.append("nameserver ").append(address).append("\n");
  }
  return content;
}

Status configure_names(const channel::Configure& configure) {
  mkdir("/etc", 0755);
  if (auto done = replace_file("/etc/hosts", hosts_file(configure)); !done) {
    return done;
  }
  if (!configure.nameservers.empty()) {
    if (auto done = replace_file("/etc/resolv.conf", resolver_file(configure)); !done) {
      return done;
    }
  }
  if (configure.hostname.empty()) {
    return {};
  }
  if (sethostname(configure.hostname.data(), configure.hostname.size()) != 0) {
    return fail_errno("hostname \"" + configure.hostname + "\"", errno, "use at most 64 bytes");
  }
  return replace_file("/etc/hostname", configure.hostname + "\n");
}

}  // namespace perigee::init
