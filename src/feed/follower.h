// Follower: keeps up with one feed of control for ever, through every loss of the connection. One
// loop's; cancel `run` to end it.
#pragma once

#include <string>

#include "feed/reader.h"
#include "http/client.h"
#include "sys/host.h"

namespace perigee::feed {

class Follower {
 public:
  // `path`: "/internal/v1/feed/…"; `who` stands in log lines.
  Follower(sys::Host& host, sys::Address control, std::string path, std::string who, Sink& sink,
           std::size_t max_line = kMaxLine)
      : host_(host),
        control_(std::move(control)),
        path_(std::move(path)),
        who_(std::move(who)),
        reader_(sink, max_line),
        client_(host, {}) {}
  async::Task<void> run();

 private:
  async::Task<Result<void>> follow();

  sys::Host& host_;
  sys::Address control_;
  std::string path_;
  std::string who_;
  Reader reader_;
  http::Client client_;
  bool heard_ = false;  // since the last attempt
};

}  // namespace perigee::feed
