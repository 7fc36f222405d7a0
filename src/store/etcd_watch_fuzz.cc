// Fuzz target: etcd's watch stream, in one piece and byte by byte, gives the same; and its other
// answers are read or refused, never more.
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "store/etcd_client.h"
#include "store/etcd_watch_decoder.h"

namespace etcd = perigee::store::etcd;
using perigee::store::Change;

// All changes up to the first error.
static std::vector<Change> changes_of(std::string_view stream, std::size_t piece) {
  etcd::WatchDecoder decoder;
  std::vector<Change> out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    if (!decoder.feed(stream.substr(at, piece))) return out;
    while (auto line = decoder.next_line()) {
      auto message = etcd::WatchDecoder::parse(*line);
      if (!message) return out;
      auto changes = decoder.complete(*std::move(message));
      if (!changes) return out;
      out.insert(out.end(), changes->begin(), changes->end());
    }
  }
  return out;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  PERIGEE_CHECK(changes_of(text, size == 0 ? 1 : size) == changes_of(text, 1));
  std::ignore = etcd::parse_range(text);
  std::ignore = etcd::parse_txn(text);
  std::ignore = etcd::parse_token(text);
  std::ignore = etcd::failure_from(etcd::parse_error(text));
  return 0;
}
