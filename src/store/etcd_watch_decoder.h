// WatchDecoder: etcd's stream of watch messages, without I/O. Bytes in, changes of whole revisions
// out, whatever pieces the bytes come in.
//
// A revision whose changes are spread over several messages (`fragment`) is held back until its
// last one is here. Private to the store's engines.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/etcd_codec.h"

namespace perigee::store::etcd {

// One message as it stands on the wire. Revisions are etcd's.
struct WatchMessage {
  std::vector<Change> changes;
  bool more_follows = false;  // the last revision's changes go on in the next message
  Revision progress = 0;      // all up to here has been sent; 0: not said
  bool ended = false;         // etcd ends the watch, for …
  Revision compacted = 0;     // … history before this is gone; 0: for another reason
  std::string reason;
};

class WatchDecoder {
 public:
  // resource_exhausted where a message is larger than any of etcd's.
  Result<void> feed(std::string_view bytes);
  // The next whole line, to be given to `parse`.
  std::optional<std::string> next_line();
  // Of any thread: large ones are parsed on the pool.
  static Result<WatchMessage> parse(std::string_view line);
  // The changes that are complete with this message.
  Result<std::vector<Change>> complete(WatchMessage message);

 private:
  std::string pending_;
  std::size_t searched_ = 0;  // of `pending_`: no line ends before
  std::vector<Change> held_back_;
};

}  // namespace perigee::store::etcd
