// Reader: one feed of control, bytes in, keys and values out (sans-I/O; docs/formats/feed.md).
//
//   Reader reader(sink);
//   GET …/feed/…?from={reader.position()}
//   reader.restart(); while (…) TRY_VOID(reader.feed(bytes));
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "feed/limits.h"
#include "json/json.h"

namespace perigee::feed {

// Who is told. Called in the order of the feed.
class Sink {
 public:
  virtual ~Sink() = default;
  // Null: the key is gone.
  virtual void changed(const std::string& key, const json::Value* value) = 0;
  // A snapshot is complete: these keys are all there are.
  virtual void synced(const std::set<std::string>& keys) = 0;
  // Everything that has arrived has been told.
  virtual void settled() = 0;
};

class Reader {
 public:
  explicit Reader(Sink& sink, std::size_t max_line = kMaxLine) : sink_(sink), max_line_(max_line) {}

  // "<epoch>-<revision>" of what the sink has been told in full; empty: nothing.
  std::string position() const;
  void restart();  // a new connection
  // An error ends the connection: the feed can't be trusted from here on.
  Result<void> feed(std::string_view bytes);

 private:
  Result<void> line(std::string_view text);
  Result<void> opening(const json::Value& value);
  Result<void> change(const json::Value& value);

  Sink& sink_;
  std::size_t max_line_;
  std::string buffer_;
  std::string epoch_;          // of what the sink has been told in full
  std::string pending_epoch_;  // of the snapshot that is being read
  std::int64_t revision_ = 0;
  bool opened_ = false;
  std::optional<std::set<std::string>> snapshot_;  // its keys, while one is being read
};

}  // namespace perigee::feed
