#include "cli/exec_client.h"

#include <array>
#include <csignal>
#include <variant>

#include "exec/limits.h"

namespace perigee::cli {
namespace {

constexpr std::size_t kMaxQueued = 4 * exec::kMaxChunk;  // input that is read ahead

}  // namespace

ExecClient::ExecClient(Session& session, std::unique_ptr<sys::Stream> stream)
    : session_(session),
      stream_(std::move(stream)),
      changed_(session.host().loop),
      tasks_(session.host().loop) {}

async::Task<Result<int>> ExecClient::run(exec::Start start) {
  CO_TRY(StandardInput input, StandardInput::open());
  std::optional<RawTerminal> raw;
  if (start.tty) {
    start.window = window_size();
    raw.emplace();
    tasks_.spawn(send_window_sizes(*this));
  }
  queue(encode(start));
  tasks_.spawn(write_out(*this));
  tasks_.spawn(send_input(*this, std::move(input)));
  auto status = co_await read_answers();
  tasks_.cancel_all();
  co_return status;
}

async::Task<Result<int>> ExecClient::read_answers() {
  exec::ServerDecoder decoder;
  std::array<char, exec::kMaxChunk> buffer{};
  for (;;) {
    CO_TRY(const auto message, decoder.next());
    if (!message) {
      const auto n = co_await stream_->read(buffer);
      if (!n || *n == 0)
        co_return fail(Code::unavailable,
                       "the session was cut; `perigee machine list` shows the machine's state");
      decoder.feed({buffer.data(), *n});
    } else if (const auto* const output = std::get_if<exec::Output>(&*message)) {
      const bool is_err = output->channel == exec::Channel::err;
      CO_TRY_VOID(write_output(is_err ? OutputTo::err : OutputTo::out, output->bytes));
    } else if (const auto* const failed = std::get_if<exec::Failed>(&*message)) {
      co_return fail(failed->code, "{}", failed->sentence);
    } else if (const auto* const exited = std::get_if<exec::Exited>(&*message)) {
      co_return static_cast<int>(exited->exit_code);
    }
  }
}

void ExecClient::queue(std::string_view bytes) {
  outgoing_ += bytes;
  changed_.notify_all();
}

// A connection that is gone is heard of by the reader.
async::Task<void> ExecClient::write_out(ExecClient& self) {
  for (;;) {
    while (self.outgoing_.empty()) co_await self.changed_.wait();
    const std::string bytes = std::exchange(self.outgoing_, {});
    if (!co_await self.stream_->write(bytes)) co_return;
    self.changed_.notify_all();
  }
}

async::Task<void> ExecClient::send_input(ExecClient& self, StandardInput input) {
  for (;;) {
    const auto bytes = co_await input.read(self.session_.host());
    if (!bytes || bytes->empty()) break;
    self.queue(encode(exec::Input{*bytes}));
    while (self.outgoing_.size() > kMaxQueued) co_await self.changed_.wait();
  }
  self.queue(encode(exec::EndInput{}));
}

async::Task<void> ExecClient::send_window_sizes(ExecClient& self) {
  for (;;) {
    co_await self.session_.posix().wait_for_signal({SIGWINCH});
    self.queue(encode(exec::Resize{window_size()}));
  }
}

}  // namespace perigee::cli
