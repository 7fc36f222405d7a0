// SimDisk: one node's files, in memory. A power loss undoes what was not synced, each file on its
// own by the seed: it keeps the new content, has the old one again, or (a file that was replaced
// without a sync) is there but empty. A crash of a process alone loses nothing.
//
// Every operation takes virtual time and is a step of its node (see Node::step), before and after
// its effect, so that a test can crash the node at each.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "async/loop.h"
#include "base/random.h"
#include "sys/disk.h"

namespace perigee::sim {

class SimDisk : public sys::Disk {
 public:
  // `step` is awaited before and after each change.
  using Step = std::function<async::Task<void>(std::string)>;
  SimDisk(async::Loop& loop, Random random, Step step);

  async::Task<Result<std::string>> read_file(std::string path, std::uint64_t max_bytes) override;
  async::Task<Result<void>> write_file(std::string path, std::string data, unsigned mode,
                                       sys::Durability durability) override;
  async::Task<Result<void>> make_directories(std::string path, unsigned mode) override;
  async::Task<Result<void>> remove(std::string path) override;
  async::Task<Result<void>> remove_tree(std::string path) override;
  async::Task<Result<std::vector<std::string>>> list(std::string path) override;
  async::Task<Result<bool>> exists(std::string path) override;

  // For tests.
  void lose_power();
  void set_full(bool full) { full_ = full; }  // writes fail with resource_exhausted
  std::vector<std::string> paths() const;     // everything there is now
  std::optional<std::string> content(const std::string& path) const;  // of a file, now

 private:
  struct Entry {
    bool directory = false;
    std::string data;
    bool operator==(const Entry&) const = default;
  };
  using Tree = std::map<std::string, Entry>;

  async::Task<void> take(Duration low, Duration high);
  Result<void> write_now(const std::string& path, std::string data, sys::Durability durability);
  Result<void> make_directories_now(const std::string& path);
  void harden(const std::string& path);
  void settle(const std::string& path);
  void drop_orphans();

  async::Loop& loop_;
  Random random_;
  Step step_;
  bool full_ = false;
  Tree live_;
  Tree durable_;
};

}  // namespace perigee::sim
