// WorkerApi: what worker.sock answers (internal API, for control on the same node).
//
//   GET /internal/v1/machines/<id>/logs?follow=0|1&from=<seq>&tail=N&app=NAME
//                                      &search=TEXT&stream=stdout|stderr|system&since=NANOSECONDS
//     JSON lines {"seq","at","stream","message"} that match; `from` inclusive; endless with
//     follow=1. With `app` also of a machine of that app that is gone.
//   GET /internal/v1/archived-logs?app=NAME   {"machines":[id,…]} that are gone and have output
//   GET /internal/v1/machines/<id>/exec       Upgrade: perigee-exec/1 (docs/formats/exec-stream.md)
//   POST /internal/v1/machines/<id>/signal    {"signal":NUMBER} to the app; 204
//   GET /internal/v1/machines/<id>/console    text: what the kernel said on its console
//   GET /internal/v1/machines/<id>/usage   CPU and memory of guest and VMM, now
//   GET /internal/v1/status   the node's report, as it is sent to control
#pragma once

#include <cstdint>
#include <string>

#include "base/id.h"
#include "http/message.h"
#include "sys/host.h"
#include "vm/output_log.h"

namespace perigee::worker {

class Worker;

struct LogQuery {
  std::uint64_t after = 0;  // sequence numbers greater than this
  std::size_t tail = 0;     // only the last so many; 0: all kept
  vm::LogFilter filter = {};
  AppName app = {};  // where to look for a machine that is gone
  bool follow = false;
};

class WorkerApi : public http::Handler {
 public:
  WorkerApi(sys::Host& host, Worker& worker, std::uint32_t allowed_uid);
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;

 private:
  bool allowed(const http::Request& request) const;
  async::Task<void> handle_machine(MachineId id, std::string what, http::Request& request,
                                   http::ResponseWriter& response);
  async::Task<void> usage(MachineId id, http::ResponseWriter& response);
  async::Task<void> logs(MachineId id, LogQuery query, http::ResponseWriter& response);
  async::Task<Result<std::string>> log_directory(MachineId id, AppName app);
  async::Task<void> archived_logs(http::Request& request, http::ResponseWriter& response);
  static async::Task<void> stream_logs(WorkerApi& api, MachineId id, LogQuery query,
                                       std::string directory, http::ResponseWriter& response);

  sys::Host& host_;
  Worker& worker_;
  std::uint32_t allowed_uid_;
};

Result<LogQuery> log_query(const http::RequestHead& head);

}  // namespace perigee::worker
