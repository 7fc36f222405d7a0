// What the driver's end-to-end tests stand on: a network namespace of their own, a scratch
// directory, an app layer made of busybox, and a driver whose VMs are all ended with the fixture.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "sys/posix_host.h"
#include "vm/monitor_driver.h"
#include "vm/output_log.h"

namespace perigee::vm::e2e {

inline constexpr std::uint32_t kTapGroup = 4242;

// Why the tests can't run here; "" when they can. Enters the network namespace.
std::string prepare_process();

class Fixture {
 public:
  Fixture();
  ~Fixture();
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  MonitorDriver& driver() { return *driver_; }
  // A worker's death and return: another driver on the same directories.
  void replace_driver();
  void drop_driver() { driver_.reset(); }
  // Drivers from now on start a monitor that is killed as soon as it has started a VMM; or a good
  // one again.
  void let_monitors_die(bool dying);

  // A VM that runs `script` in busybox's shell.
  VmSpec spec(const std::string& machine, const std::string& script);

  template <typename T>
  T run(async::Task<T> task) {
    return host_->loop().run(std::move(task));
  }
  // Boots and waits for it to run. Fails the test otherwise.
  VmStatus boot(const std::string& machine, const std::string& script);
  // The machine's next status for which `state` holds; fails the test after a minute.
  VmStatus wait_for(const std::string& machine, VmState state);
  void sleep(Duration duration);
  std::string output(const std::string& machine);  // the app's lines, joined by newlines
  // Waits until the output holds `text`.
  bool wait_for_output(const std::string& machine, const std::string& text);
  // One HTTP exchange with the guest: its status line, or "".
  std::string http_get(const VmSpec& spec, std::uint16_t port);
  // "hello from the host" for whoever connects.
  void serve_on_host(std::uint16_t port);
  void raise_firewall(const std::vector<VmSpec>& vms);
  Result<PlatformVerdict> detect_platform();
  bool wait_for_end(pid_t pid);
  bool tap_exists(const std::string& machine);

 private:
  void make_layer();
  void run_tool(std::vector<std::string> argv);
  async::Task<std::string> exchange(sys::Address address);
  async::Task<void> end_all();
  static async::Task<void> greet_all(sys::Listener& listener);

  std::string directory_;
  std::string monitor_program_;
  std::unique_ptr<sys::PosixHost> host_;
  std::unique_ptr<MonitorDriver> driver_;
  int next_address_ = 2;
  std::unique_ptr<sys::Listener> listener_;
  std::unique_ptr<async::TaskGroup> server_;
};

}  // namespace perigee::vm::e2e
