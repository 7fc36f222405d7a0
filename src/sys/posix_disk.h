// PosixDisk: files of the real machine, each call on the thread pool. Private to sys.
#pragma once

#include "async/thread_pool.h"
#include "sys/disk.h"

namespace perigee::sys {

class PosixDisk : public Disk {
 public:
  PosixDisk(async::Loop& loop, async::ThreadPool& pool) : loop_(loop), pool_(pool) {}
  async::Task<Result<std::string>> read_file(std::string path, std::uint64_t max_bytes) override;
  async::Task<Result<void>> write_file(std::string path, std::string data, unsigned mode,
                                       Durability durability) override;
  async::Task<Result<void>> make_directories(std::string path, unsigned mode) override;
  async::Task<Result<void>> remove(std::string path) override;
  async::Task<Result<void>> remove_tree(std::string path) override;
  async::Task<Result<std::vector<std::string>>> list(std::string path) override;
  async::Task<Result<bool>> exists(std::string path) override;

 private:
  async::Loop& loop_;
  async::ThreadPool& pool_;
};

}  // namespace perigee::sys
