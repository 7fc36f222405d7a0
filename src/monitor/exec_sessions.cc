#include "monitor/exec_sessions.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "async/combine.h"
#include "channel/codec.h"
#include "exec/limits.h"

namespace perigee::monitor {
namespace {

constexpr std::size_t kReadBuffer = 16 * 1024;

std::string failure(const Error& error) {
  return exec::encode(exec::Failed{error.code, error.context});
}

channel::Exec to_guest(std::uint32_t id, exec::Start start) {
  return {.id = id,
          .argv = std::move(start.command),
          .env = std::move(start.env),
          .user = std::move(start.user),
          .workdir = std::move(start.directory),
          .tty = start.tty,
          .rows = start.window.rows,
          .cols = start.window.cols};
}

// The client's fault, not its connection's end.
bool is_malformed(const Error& error) {
  return error.code == Code::data_loss || error.code == Code::invalid_argument;
}

}  // namespace

async::Task<Result<exec::ClientMessage>> ExecSessions::next_message(Client& client) {
  std::array<char, kReadBuffer> buffer;
  for (;;) {
    CO_TRY(std::optional<exec::ClientMessage> message, client.decoder.next());
    if (message) co_return *std::move(message);
    CO_TRY(const std::size_t n, co_await client.stream.read(buffer));
    if (n == 0) co_return fail(Code::end_of_stream, "the client is gone");
    client.decoder.feed({buffer.data(), n});
  }
}

async::Task<Result<exec::Start>> ExecSessions::read_start(Client& client) {
  CO_TRY(exec::ClientMessage message,
         co_await async::with_deadline(host_.loop, host_.loop.deadline_in(exec::kStartTimeout),
                                       next_message(client), "the client's start"));
  if (auto* const start = std::get_if<exec::Start>(&message)) co_return std::move(*start);
  co_return fail(Code::invalid_argument, "exec stream: it must begin with a start");
}

async::Task<void> ExecSessions::serve(sys::Stream& stream, std::string first) {
  Client client{.stream = stream, .decoder = {}};
  client.decoder.feed(first);
  auto start = co_await read_start(client);
  if (start && sessions_.size() >= channel::kMaxExecSessions) {
    start = fail(Code::resource_exhausted, "the machine has {} sessions already; end one of them",
                 channel::kMaxExecSessions);
  }
  if (start) co_return co_await drive(client, *std::move(start));
  [[maybe_unused]] const auto told = co_await stream.write(failure(start.error()));
}

async::Task<void> ExecSessions::drive(Client& client, exec::Start start) {
  Session session(host_.loop, ++last_id_);
  struct Registration {  // for a serve() that is cancelled, too
    ExecSessions& owner;
    Session& session;
    Registration(ExecSessions& o, Session& s) : owner(o), session(s) {
      owner.sessions_[session.id] = &session;
    }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration() {
      owner.sessions_.erase(session.id);
      if (!session.over) (void)owner.send_(channel::encode(channel::ExecClose{session.id}));
    }
  };
  const Registration registration(*this, session);
  const auto asked = send_(channel::encode(to_guest(session.id, std::move(start))));
  if (!asked) end(session, failure(asked.error()));
  co_await async::first_of(host_.loop, take_input(*this, client, session),
                           give_output(*this, client, session));
}

// Returns when the client is gone. What it sends wrongly ends the session, with a word about it.
async::Task<void> ExecSessions::take_input(ExecSessions& self, Client& client, Session& session) {
  Result<void> passed;
  while (passed) {
    auto message = co_await self.next_message(client);
    if (message) {
      passed = co_await self.pass_on(session, *std::move(message));
    } else if (is_malformed(message.error())) {
      passed = fail(message.error());
    } else {
      co_return;
    }
  }
  end(session, failure(passed.error()));
  for (;;) co_await session.changed.wait();  // until give_output() has told the client
}

async::Task<Result<void>> ExecSessions::pass_on(Session& session, exec::ClientMessage message) {
  if (session.over) co_return Result<void>();
  if (auto* const input = std::get_if<exec::Input>(&message))
    co_return co_await pass_input(session, std::move(input->bytes));
  if (std::holds_alternative<exec::EndInput>(message))
    co_return send_(
        channel::encode(channel::ExecInput{.id = session.id, .eof = true, .bytes = {}}));
  if (const auto* const resize = std::get_if<exec::Resize>(&message))
    co_return send_(
        channel::encode(channel::ExecResize{session.id, resize->window.rows, resize->window.cols}));
  if (const auto* const signal = std::get_if<exec::Signal>(&message))
    co_return send_(channel::encode(channel::ExecSignal{session.id, signal->number}));
  co_return fail(Code::invalid_argument, "exec stream: a second start");
}

async::Task<Result<void>> ExecSessions::pass_input(Session& session, std::string bytes) {
  std::string_view rest = bytes;
  while (!rest.empty() && !session.over) {
    const std::size_t size = std::min({rest.size(), session.input_credit, channel::kMaxExecChunk});
    if (size == 0) {
      co_await session.changed.wait();
      continue;
    }
    CO_TRY_VOID(send_(channel::encode(channel::ExecInput{
        .id = session.id, .eof = false, .bytes = std::string(rest.substr(0, size))})));
    session.input_credit -= size;
    rest.remove_prefix(size);
  }
  co_return Result<void>();
}

// Returns when the client has all that there is, or takes no more.
async::Task<void> ExecSessions::give_output(ExecSessions& self, Client& client, Session& session) {
  for (;;) {
    while (session.outgoing.empty() && !session.over) co_await session.changed.wait();
    if (session.outgoing.empty()) co_return;
    const std::string bytes = std::exchange(session.outgoing, {});
    const auto taken = static_cast<std::uint32_t>(std::exchange(session.untaken, 0));
    if (!co_await client.stream.write(bytes)) co_return;
    if (taken > 0 && !session.over)
      (void)self.send_(channel::encode(channel::ExecOutputCredit{session.id, taken}));
  }
}

ExecSessions::Session* ExecSessions::find(std::uint32_t id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() || found->second->over ? nullptr : found->second;
}

void ExecSessions::say(Session& session, std::string frame) {
  session.outgoing += frame;
  session.changed.notify_all();
}

void ExecSessions::end(Session& session, std::string frame) {
  session.over = true;
  say(session, std::move(frame));
}

void ExecSessions::guest_says(const channel::GuestMessage& message) {
  if (const auto* const started = std::get_if<channel::ExecStarted>(&message)) {
    Session* const session = find(started->id);
    if (session == nullptr) return;
    if (started->pid != 0) return say(*session, exec::encode(exec::Started{}));
    end(*session, exec::encode(exec::Failed{Code::invalid_argument, started->message}));
  } else if (const auto* const output = std::get_if<channel::ExecOutput>(&message)) {
    if (Session* const session = find(output->id)) take_output(*session, *output);
  } else if (const auto* const credit = std::get_if<channel::ExecInputCredit>(&message)) {
    Session* const session = find(credit->id);
    if (session == nullptr) return;
    session->input_credit = std::min(session->input_credit + credit->bytes, channel::kExecWindow);
    session->changed.notify_all();
  } else if (const auto* const exited = std::get_if<channel::ExecExited>(&message)) {
    Session* const session = find(exited->id);
    if (session == nullptr) return;
    const auto code = static_cast<std::uint32_t>(exited->exit_code);
    end(*session, exec::encode(exec::Exited{code, exited->signal}));
  }
}

// A guest that sends more than it may is not believed any further.
void ExecSessions::take_output(Session& session, const channel::ExecOutput& output) {
  session.untaken += output.bytes.size();
  if (session.untaken > channel::kExecWindow) {
    (void)send_(channel::encode(channel::ExecClose{session.id}));
    return end(session, exec::encode(exec::Failed{
                            Code::data_loss, "the machine sends more than it was allowed to"}));
  }
  const auto stream =
      output.stream == channel::Stream::kStderr ? exec::Channel::err : exec::Channel::out;
  // A guest's frame may be longer than a client's.
  for (std::string_view rest = output.bytes; !rest.empty();) {
    const std::string_view chunk = rest.substr(0, exec::kMaxChunk);
    say(session, exec::encode(exec::Output{stream, std::string(chunk)}));
    rest.remove_prefix(chunk.size());
  }
}

void ExecSessions::guest_lost() {
  for (const auto& [id, session] : sessions_) {
    if (session->over) continue;
    end(*session, exec::encode(exec::Failed{
                      Code::unavailable,
                      "the machine has ended, or its connection was lost; see its state"}));
  }
}

}  // namespace perigee::monitor
