#include "mesh/userspace_device.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "async/combine.h"
#include "base/text.h"
#include "mesh/limits.h"
#include "mesh/uapi.h"
#include "sys/netlink.h"
#include "sys/procfs.h"

namespace perigee::mesh {
namespace {

constexpr const char* kProgram = "wireguard-go";

// Where wireguard-go makes it; the folder can't be chosen.
std::string socket_path(const std::string& interface) {
  return fmt::format("/var/run/wireguard/{}.sock", interface);
}

async::Task<Result<std::string>> converse(sys::Host& host, sys::Address to, std::string request) {
  CO_TRY(const auto stream,
         co_await host.network.connect(std::move(to), host.loop.deadline_in(kDeviceTimeout)));
  CO_TRY_VOID(co_await stream->write(request));
  std::string answer;
  std::array<char, 16 * 1024> buffer;
  while (!uapi_complete(answer)) {
    CO_TRY(const std::size_t count, co_await stream->read(buffer));
    if (count == 0) co_return fail(Code::end_of_stream, "it closed within its answer");
    if (answer.size() + count > kMaxUapiAnswer) {
      co_return fail(Code::resource_exhausted, "an answer of more than {} bytes", kMaxUapiAnswer);
    }
    answer.append(buffer.data(), count);
  }
  co_return answer;
}

async::Task<Result<std::string>> ask(sys::Host& host, std::string interface, std::string request) {
  CO_TRY(auto address, sys::Address::unix_path(socket_path(interface)));
  const std::string what = fmt::format("wireguard-go of {}", interface);
  auto answer =
      co_await async::with_deadline(host.loop, host.loop.deadline_in(kDeviceTimeout),
                                    converse(host, std::move(address), std::move(request)), what);
  if (!answer) co_return fail(std::move(answer).error().with(what));
  co_return answer;
}

class UserspaceDevice : public Device {
 public:
  // `child`: the process, where it is ours.
  UserspaceDevice(sys::Host& host, std::string interface, std::unique_ptr<sys::Process> child)
      : host_(host), interface_(std::move(interface)), child_(std::move(child)) {}

  async::Task<Result<DeviceState>> read() override {
    const auto answer = co_await ask(host_, interface_, uapi_get());
    if (answer) co_return parse_uapi_state(*answer);
    if (child_) co_await async::until(host_.loop, host_.loop.now(), child_->wait());  // reaps it
    co_return fail(answer.error());
  }
  async::Task<Result<void>> change(DeviceChange change) override {
    CO_TRY(const std::string answer, co_await ask(host_, interface_, uapi_set(change)));
    co_return parse_uapi_done(answer);
  }
  std::string_view kind() const override { return kProgram; }

 private:
  sys::Host& host_;
  std::string interface_;
  std::unique_ptr<sys::Process> child_;
};

bool has_link(const std::string& interface) {
  auto netlink = sys::Netlink::open();
  return netlink && netlink->link_index(interface).has_value();
}

sys::Spawn command(const std::string& interface, int log) {
  const char* path = std::getenv("PATH");
  return {.argv = {kProgram, "--foreground", interface},
          .env =
              std::vector<std::pair<std::string, std::string>>{
                  {"PATH", path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path},
                  {"LOG_LEVEL", "error"},
                  {"GOMEMLIMIT", kProcessMemory}},
          .directory = "/",
          .descriptors = {{log, 1}, {log, 2}},
          .new_session = true};
}

// "; it says: …", or nothing.
async::Task<std::string> last_words(sys::Host& host, std::string log) {
  const auto text = co_await host.disk.read_file(std::move(log), kMaxProcessLog);
  if (!text) co_return "";
  const auto lines = split(trim(*text), '\n');
  co_return lines.back().empty() ? "" : fmt::format("; it says: {}", lines.back());
}

// Until the process answers, or has ended.
async::Task<Result<void>> await_answer(sys::Host& host, sys::Process& process,
                                       std::string interface, std::string log) {
  const MonotonicTime until = host.loop.now() + kProcessStart;
  while (host.loop.now() < until) {
    if (co_await ask(host, interface, uapi_get())) co_return Result<void>();
    const auto ended =
        co_await async::until(host.loop, host.loop.now() + kProcessPoll, process.wait());
    if (!ended) continue;
    co_return fail(Code::unavailable,
                   "wireguard-go for {} ended at its start with {}{} (it needs root, IPv6 and "
                   "/dev/net/tun)",
                   interface, ended->str(), co_await last_words(host, std::move(log)));
  }
  [[maybe_unused]] const auto killed = process.signal(SIGKILL);
  co_await process.wait();
  co_return fail(Code::deadline_exceeded, "wireguard-go for {} did not answer within {} ms",
                 interface, to_ms(kProcessStart));
}

}  // namespace

async::Task<Result<std::unique_ptr<Device>>> adopt_userspace_device(sys::Host& host,
                                                                    std::string interface) {
  CO_TRY_VOID(co_await ask(host, interface, uapi_get()));
  if (!has_link(interface)) {
    co_return fail(Code::not_found, "interface {} is not in this network namespace", interface);
  }
  co_return std::make_unique<UserspaceDevice>(host, interface, nullptr);
}

// SAFETY: the process runs as root, for it makes the interface and reads every packet of the mesh;
// it is given no descriptor but its log, and a bound on its memory.
async::Task<Result<std::unique_ptr<Device>>> start_userspace_device(sys::Host& host,
                                                                    std::string interface,
                                                                    std::string log) {
  CO_TRY_VOID(co_await end_userspace_process(host, interface));
  CO_TRY(
      const sys::Fd file,
      sys::own(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "open " + log));
  auto process = host.processes.spawn(command(interface, file.get()));
  if (!process) {
    co_return fail(std::move(process).error().with(
        "this kernel has no WireGuard, and Debian's package wireguard-go is wanted instead"));
  }
  CO_TRY_VOID(co_await await_answer(host, **process, interface, std::move(log)));
  co_return std::make_unique<UserspaceDevice>(host, interface, *std::move(process));
}

// Found by its argument, the interface's name: a file with its number could be stale or, were we
// killed at the wrong moment, missing.
async::Task<Result<void>> end_userspace_process(sys::Host& host, std::string interface) {
  constexpr int kMostLeft = 8;  // after kills at unlucky moments
  for (int i = 0; i < kMostLeft; ++i) {
    const auto pid = sys::find_process(kProgram, interface);
    if (!pid) break;
    auto process = host.processes.adopt(*pid);
    if (!process) continue;  // it has just ended
    [[maybe_unused]] const auto killed = (*process)->signal(SIGKILL);
    co_await (*process)->wait();
  }
  co_return co_await host.disk.remove(socket_path(interface));
}

}  // namespace perigee::mesh
