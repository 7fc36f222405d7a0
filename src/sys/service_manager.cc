#include "sys/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "sys/fd.h"

namespace perigee::sys {

void tell_service_manager(std::string_view text) {
  const char* variable = std::getenv("NOTIFY_SOCKET");
  std::string path = variable == nullptr ? "" : variable;
  sockaddr_un address{};
  if (path.empty() || path.size() > sizeof address.sun_path) return;
  if (path.front() == '@') path.front() = '\0';  // in the abstract namespace (unix(7))
  address.sun_family = AF_UNIX;
  std::ranges::copy(path, address.sun_path);
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  [[maybe_unused]] const ssize_t sent =
      ::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size);  // it may have gone
}

}  // namespace perigee::sys
