// Network namespaces by name, as ip-netns(8) keeps them: a file under /run/netns each. A thread is
// in one at a time, and what it opens (sockets, taps) stays where it was opened.
//
//   TRY(const auto visit, NetworkNamespaceVisit::enter("city-ams"));
//   TRY(Fd tap, open_tap("wan0"));   // in the city; the thread is back at the end of the scope
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace perigee::sys {

// The file of a named namespace.
std::string network_namespace_path(const std::string& name);

// This thread is in the namespace from here on, and so are threads that it makes. not_found names
// it.
Result<void> join_network_namespace(const std::string& name);

// This thread is in the namespace while this lives. Must end on the thread it began on.
class NetworkNamespaceVisit {
 public:
  static Result<std::unique_ptr<NetworkNamespaceVisit>> enter(const std::string& name);
  ~NetworkNamespaceVisit();
  NetworkNamespaceVisit(const NetworkNamespaceVisit&) = delete;
  NetworkNamespaceVisit& operator=(const NetworkNamespaceVisit&) = delete;

 private:
  explicit NetworkNamespaceVisit(Fd home) : home_(std::move(home)) {}
  Fd home_;
};

}  // namespace perigee::sys
