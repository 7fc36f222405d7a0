#include "supervisor/successor.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "async/combine.h"
#include "base/text.h"
#include "supervisor/listeners.h"

namespace perigee::supervisor {
namespace {

constexpr Duration kReadyTimeout = 30s;
constexpr std::uint64_t kMaxDescriptor = 1023;

// Ends a process that nobody may be left with.
class Provisional {
 public:
  explicit Provisional(sys::Process& process) : process_(&process) {}
  ~Provisional() {
    if (process_ != nullptr) std::ignore = process_->signal(SIGKILL);
  }
  Provisional(const Provisional&) = delete;
  Provisional& operator=(const Provisional&) = delete;
  void keep() { process_ = nullptr; }

 private:
  sys::Process* process_;
};

int first_free(const sys::Spawn& spawn) {
  int number = kFirstListener;
  for (const auto& [ours, theirs] : spawn.descriptors) number = std::max(number, theirs + 1);
  return number;
}

async::Task<Result<void>> told(sys::Stream& pipe) {
  std::array<char, 1> byte{};
  CO_TRY(const std::size_t count, co_await pipe.read(byte));
  if (count == 0) {
    co_return fail(Code::unavailable, "it ended before it served (its log says why)");
  }
  co_return Result<void>();
}

}  // namespace

async::Task<Result<std::unique_ptr<sys::Process>>> start_successor(sys::PosixHost& host,
                                                                   sys::Spawn spawn) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) co_return fail(errno_error(errno, "pipe"));
  sys::Fd reader(ends[0]);
  sys::Fd writer(ends[1]);
  CO_TRY(const auto pipe, host.adopt_stream(std::move(reader)));
  const int number = first_free(spawn);
  spawn.descriptors.emplace_back(writer.get(), number);
  set_variable(spawn, kReadyVariable, std::to_string(number));
  CO_TRY(auto process, host.host().processes.spawn(spawn));
  writer.reset();
  Provisional provisional(*process);
  async::Loop& loop = host.loop();
  auto ready =
      co_await async::with_deadline(loop, loop.deadline_in(kReadyTimeout), told(*pipe), "to serve");
  if (ready) {
    provisional.keep();
    co_return std::move(process);
  }
  std::ignore = process->signal(SIGKILL);
  co_await process->wait();
  co_return fail(std::move(ready).error());
}

bool takes_over() {
  return std::getenv(kReadyVariable) != nullptr;
}

void report_ready() {
  const char* text = std::getenv(kReadyVariable);
  const auto number = text == nullptr ? std::nullopt : parse_uint(text, kMaxDescriptor);
  if (!number) return;
  const sys::Fd pipe(static_cast<int>(*number));
  ::unsetenv(kReadyVariable);
  constexpr char kReady = '+';
  [[maybe_unused]] const ssize_t n = ::write(pipe.get(), &kReady, 1);  // who waited may be gone
}

}  // namespace perigee::supervisor
