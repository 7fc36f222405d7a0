#include "control/worker_link.h"

#include <span>

#include "api/caller.h"
#include "async/combine.h"
#include "control/limits.h"
#include "exec/types.h"
#include "http/upgrade.h"

namespace perigee::control {
namespace {

async::Task<Result<std::vector<LogLine>>> read_lines(std::unique_ptr<LogReader> reader) {
  std::vector<LogLine> lines;
  for (;;) {
    CO_TRY(std::optional<LogLine> line, co_await reader->next());
    if (!line) co_return lines;
    if (lines.size() >= kMaxLogTail) co_return lines;
    lines.push_back(*std::move(line));
  }
}

http::RequestHead head_of(std::string method, const MachineId& machine, std::string_view what) {
  http::RequestHead head{.method = std::move(method),
                         .target = fmt::format("/internal/v1/machines/{}/{}",
                                               http::percent_encode(machine.str()), what)};
  head.headers.set("Host", "worker");
  return head;
}

std::string query_of(const LogFilter& filter) {
  std::string query;
  if (!filter.search.empty()) query += "&search=" + http::percent_encode(filter.search);
  if (!filter.stream.empty()) query += "&stream=" + http::percent_encode(filter.stream);
  if (filter.since_ns > 0) query += fmt::format("&since={}", filter.since_ns);
  return query;
}

// {"error": sentence} of a worker.
Error refusal(int status, std::string_view body) {
  const auto document = json::parse(body);
  std::string sentence = document ? document->optional_string("error").value_or("") : "";
  if (sentence.empty()) sentence = fmt::format("worker answered {}", status);
  const Code code = status == 404   ? Code::not_found
                    : status == 409 ? Code::conflict
                    : status == 400 ? Code::invalid_argument
                                    : Code::unavailable;
  return Error::make(code, std::move(sentence));
}

}  // namespace

Result<LogLine> log_line_from(const json::Value& value) {
  LogLine line;
  TRY(line.sequence, value.optional_int("seq", 0));
  TRY(line.at, value.optional_string("at"));
  TRY(line.stream, value.optional_string("stream"));
  TRY(line.message, value.optional_string("message"));
  return line;
}

async::Task<Result<std::optional<LogLine>>> LogReader::next() {
  constexpr std::size_t kChunk = 16 * 1024;
  for (;;) {
    const std::size_t end = buffer_.find('\n', start_);
    if (end != std::string::npos) {
      const std::string_view text = std::string_view(buffer_).substr(start_, end - start_);
      start_ = end + 1;
      CO_TRY_AS(const json::Value value, json::parse(text), "log line");
      if (value.members().empty()) continue;  // keep-alive
      CO_TRY(LogLine line, log_line_from(value));
      co_return std::optional<LogLine>(std::move(line));
    }
    buffer_.erase(0, std::exchange(start_, 0));
    if (buffer_.size() > 2 * kMaxLogLine)
      co_return fail(Code::resource_exhausted, "log line longer than {} bytes", 2 * kMaxLogLine);
    const std::size_t had = buffer_.size();
    buffer_.resize(had + kChunk);
    const auto n = co_await response_->body().read(std::span(buffer_.data() + had, kChunk));
    buffer_.resize(had + (n ? *n : 0));
    if (!n) co_return fail(n.error());
    if (*n == 0) co_return std::optional<LogLine>();
  }
}

Result<sys::Address> WorkerLink::way_to(const NodeId& node, http::RequestHead& head) const {
  if (node == sockets_.own) return sys::Address::unix_path(sockets_.worker);
  head.headers.set(api::kToNodeHeader, node.str());
  return sys::Address::unix_path(sockets_.link);
}

async::Task<Result<std::unique_ptr<LogReader>>> WorkerLink::open(NodeId node, std::string target) {
  http::RequestHead head{.method = "GET", .target = std::move(target)};
  head.headers.set("Host", "worker");
  CO_TRY(const sys::Address address, way_to(node, head));
  CO_TRY_AS(auto response,
            co_await client_.request(address, std::move(head), {},
                                     host_.loop.deadline_in(kWorkerTimeout)),
            "worker");
  if (response->head.status != 200)
    co_return fail(response->head.status == 404 ? Code::not_found : Code::unavailable,
                   "worker answered {}", response->head.status);
  co_return std::make_unique<LogReader>(std::move(response));
}

async::Task<Result<std::unique_ptr<sys::Stream>>> WorkerLink::exec(MachineAt machine) {
  http::RequestHead head = head_of("GET", machine.machine, "exec");
  head.headers.set("Upgrade", exec::kProtocol);
  CO_TRY(const sys::Address address, way_to(machine.node, head));
  CO_TRY_AS(http::UpgradeAnswer answer,
            co_await http::upgrade(host_, address, std::move(head),
                                   host_.loop.deadline_in(kWorkerTimeout)),
            "worker");
  if (!answer.stream) co_return fail(refusal(answer.head.status, answer.body));
  co_return std::move(answer.stream);
}

async::Task<Result<std::string>> WorkerLink::call(NodeId node, http::RequestHead head,
                                                  std::string body) {
  CO_TRY(const sys::Address address, way_to(node, head));
  const Deadline deadline = host_.loop.deadline_in(kWorkerTimeout);
  CO_TRY_AS(auto response,
            co_await client_.request(address, std::move(head), std::move(body), deadline),
            "worker");
  CO_TRY(std::string text,
         co_await async::with_deadline(
             host_.loop, deadline, http::read_all(response->body(), kMaxWorkerAnswer), "worker"));
  const int status = response->head.status;
  if (status < 200 || status > 299) co_return fail(refusal(status, text));
  co_return text;
}

async::Task<Result<void>> WorkerLink::signal(MachineAt machine, int number) {
  const json::Value body = json::object({{"signal", number}});
  CO_TRY([[maybe_unused]] const std::string answer,
         co_await call(machine.node, head_of("POST", machine.machine, "signal"), body.dump()));
  co_return Result<void>();
}

async::Task<Result<std::string>> WorkerLink::console(MachineAt machine) {
  co_return co_await call(machine.node, head_of("GET", machine.machine, "console"), {});
}

async::Task<Result<std::vector<LogLine>>> WorkerLink::tail(AppName app, MachineAt machine,
                                                           std::size_t lines, LogFilter filter) {
  CO_TRY(auto reader,
         co_await open(machine.node,
                       fmt::format("/internal/v1/machines/{}/logs?follow=0&tail={}&app={}{}",
                                   http::percent_encode(machine.machine.str()), lines,
                                   http::percent_encode(app.str()), query_of(filter))));
  co_return co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kWorkerTimeout),
                                          read_lines(std::move(reader)), "logs");
}

async::Task<Result<std::unique_ptr<LogReader>>> WorkerLink::follow(MachineAt machine,
                                                                   std::int64_t from,
                                                                   LogFilter filter) {
  co_return co_await open(
      machine.node,
      fmt::format("/internal/v1/machines/{}/logs?follow=1&from={}{}",
                  http::percent_encode(machine.machine.str()), from, query_of(filter)));
}

async::Task<Result<std::vector<MachineId>>> WorkerLink::archived(AppName app, NodeId node) {
  http::RequestHead head{
      .method = "GET",
      .target = "/internal/v1/archived-logs?app=" + http::percent_encode(app.str())};
  head.headers.set("Host", "worker");
  CO_TRY(const std::string answer, co_await call(std::move(node), std::move(head), {}));
  CO_TRY_AS(const json::Value document, json::parse(answer), "worker");
  CO_TRY(const std::vector<std::string> ids, document.optional_strings("machines"));
  std::vector<MachineId> machines;
  for (const std::string& id : ids) machines.emplace_back(id);
  co_return machines;
}

async::Task<Result<json::Value>> WorkerLink::usage(MachineAt machine) {
  CO_TRY(const std::string text,
         co_await call(machine.node, head_of("GET", machine.machine, "usage"), {}));
  co_return json::parse(text);
}

async::Task<Result<json::Value>> WorkerLink::processes(MachineAt machine) {
  CO_TRY(const std::string text,
         co_await call(machine.node, head_of("GET", machine.machine, "ps"), {}));
  co_return json::parse(text);
}

}  // namespace perigee::control
