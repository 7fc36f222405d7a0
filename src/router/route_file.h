// RouteFile: the routes on disk, with which a router starts where control is away. Made line by
// line beside the requests, and the more seldom the longer that takes: with the routes of a hundred
// thousand machines it is tens of megabytes.
//
//   RouteFile file(host, path, store);           // no path: none is kept
//   co_await file.load();                        // before the feed
//   file.changed();                              // at each change of the store
//   co_await file.keep();                        // for ever
#pragma once

#include <string>

#include "async/event.h"
#include "router/route_store.h"
#include "sys/host.h"

namespace perigee::router {

class RouteFile {
 public:
  RouteFile(sys::Host& host, std::string path, RouteStore& store)
      : host_(host), path_(std::move(path)), store_(store), dirty_(host.loop) {}

  // True: the store has what was saved.
  async::Task<bool> load();
  void changed();
  async::Task<void> keep();
  async::Task<void> save();  // where anything has changed since the last time

 private:
  async::Task<std::string> text();

  sys::Host& host_;
  std::string path_;
  RouteStore& store_;
  async::Notify dirty_;
  bool unsaved_ = false;
  std::size_t written_ = 0;  // bytes, the last time
};

}  // namespace perigee::router
