// KeyFile: the key ring on disk (/etc/perigee/keys.json, mode 0600, root's), apart from the store
// that it protects. Control changes it, the other roles read it.
//
//   CO_TRY(auto keys, co_await KeyFile::open(host, path));
//   CO_TRY(std::string text, keys->ring().seal(place, value, host.entropy));
//
// One loop's. A change is on disk before anything is sealed with it.
#pragma once

#include <memory>
#include <string>

#include "async/event.h"
#include "async/task.h"
#include "secrets/key_ring.h"
#include "sys/host.h"

namespace perigee::secrets {

class KeyFile {
 public:
  // Makes a ring where there is none. The node's supervisor, before any role starts.
  static async::Task<Result<void>> ensure(sys::Host& host, std::string path);
  // Puts the ring that control gave this node in place of what is there.
  static async::Task<Result<void>> install(sys::Host& host, std::string path, std::string text);
  static async::Task<Result<std::unique_ptr<KeyFile>>> open(sys::Host& host, std::string path);

  const KeyRing& ring() const { return ring_; }
  // Opens with the ring at hand, and where that lacks the key, with the file's as it is now.
  async::Task<Result<std::string>> open_value(Place place, std::string sealed);
  async::Task<Result<void>> rotate();
  async::Task<Result<void>> retire(std::string key_id);
  // The ring of another control of the fleet, in place of ours. conflict where it lacks our primary
  // key: what is sealed with that would be lost.
  async::Task<Result<void>> adopt(std::string text);

 private:
  KeyFile(sys::Host& host, std::string path, KeyRing ring)
      : host_(host), path_(std::move(path)), ring_(std::move(ring)), changing_(host.loop, 1) {}
  async::Task<Result<void>> replace(KeyRing ring);

  sys::Host& host_;
  std::string path_;
  KeyRing ring_;
  async::Semaphore changing_;  // one change at a time: none may undo another
};

}  // namespace perigee::secrets
