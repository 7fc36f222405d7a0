#include "sys/netns.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>

#include "base/check.h"

namespace perigee::sys {

std::string network_namespace_path(const std::string& name) {
  return "/run/netns/" + name;
}

// SAFETY: needs CAP_SYS_ADMIN; changes this thread alone.
Result<void> join_network_namespace(const std::string& name) {
  const std::string path = network_namespace_path(name);
  TRY(const Fd file, own(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "network namespace " + name));
  if (::setns(file.get(), CLONE_NEWNET) < 0) {
    return fail(errno_error(errno, "enter network namespace " + name));
  }
  return {};
}

Result<std::unique_ptr<NetworkNamespaceVisit>> NetworkNamespaceVisit::enter(
    const std::string& name) {
  TRY(Fd home, own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC),
                   "open this thread's network namespace"));
  TRY_VOID(join_network_namespace(name));
  return std::unique_ptr<NetworkNamespaceVisit>(new NetworkNamespaceVisit(std::move(home)));
}

NetworkNamespaceVisit::~NetworkNamespaceVisit() {
  // To stay would put whatever this thread opens next into the wrong network.
  PERIGEE_CHECK(::setns(home_.get(), CLONE_NEWNET) == 0);
}

}  // namespace perigee::sys
