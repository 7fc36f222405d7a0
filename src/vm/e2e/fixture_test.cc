#include "fixture.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "async/combine.h"
#include "sys/netlink.h"
#include "sys/procfs.h"
#include "vm/firewall.h"

namespace perigee::vm::e2e {
namespace {

namespace fs = std::filesystem;

constexpr Duration kPatience = 60s;
constexpr const char* kBusybox = "/bin/busybox";

std::string beside_us(std::string_view name) {
  return (fs::read_symlink("/proc/self/exe").parent_path() / name).string();
}

std::string guest_dir() {
  return (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "guest").string();
}

}  // namespace

std::string prepare_process() {
  if (::geteuid() != 0) return "needs root (taps, network namespace)";
  for (const std::string& path : {std::string(kBusybox), beside_us("perigee-monitor"),
                                  guest_dir() + "/vmlinux", std::string("/dev/net/tun")}) {
    if (!fs::exists(path)) return path + " is missing";
  }
  // SAFETY: everything that the tests make in the network goes away with this namespace.
  if (::unshare(CLONE_NEWNET) < 0) return "can't make a network namespace";
  auto netlink = sys::Netlink::open();
  if (!netlink || !netlink->set_up(1, 0)) return "can't use rtnetlink";
  return "";
}

Fixture::Fixture() {
  std::string name = "/tmp/perigee-vm-e2e-XXXXXX";
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  directory_ = name;
  host_ = std::move(*sys::PosixHost::open(2));
  make_layer();
  let_monitors_die(false);
  replace_driver();
}

Fixture::~Fixture() {
  if (!driver_) replace_driver();
  run(end_all());
  driver_.reset();
  server_.reset();
  listener_.reset();
  host_.reset();
  fs::remove_all(directory_);
}

async::Task<void> Fixture::end_all() {
  const auto left = co_await driver_->adopt();
  for (const auto& entry : fs::directory_iterator(directory_ + "/machines")) {
    const MachineId machine(entry.path().filename().string());
    [[maybe_unused]] const auto killed = co_await driver_->kill(machine);
    for (int i = 0; i < 200; ++i) {
      if (co_await driver_->forget(machine)) break;
      co_await host_->loop().sleep(25ms);
    }
  }
}

void Fixture::replace_driver() {
  driver_.reset();
  auto driver = run(MonitorDriver::open(host_->host(), {.machines_dir = directory_ + "/machines",
                                                        .run_dir = directory_ + "/run",
                                                        .host_dir = directory_ + "/host",
                                                        .guest_dir = guest_dir(),
                                                        .monitor_program = monitor_program_,
                                                        .platform = Platform::tcg}));
  if (!driver) FAIL(driver.error().context);
  driver_ = std::move(*driver);
}

void Fixture::let_monitors_die(bool dying) {
  const std::string real = beside_us("perigee-monitor");
  monitor_program_ = dying ? directory_ + "/dying-monitor" : real;
  if (!dying) return;
  std::ofstream(monitor_program_) << "#!/bin/sh\n"
                                  << real << R"( "$@" & )" << R"(
while [ ! -s "$1/vmm.json" ]; do sleep 0.01; done
pkill -9 -f "perigee-monitor $1\$"
exit 1
)";
  fs::permissions(monitor_program_, fs::perms::owner_all);
}

void Fixture::run_tool(std::vector<std::string> argv) {
  const sys::Spawn spawn{.argv = std::move(argv)};
  const auto done =
      run(host_->host().processes.run(spawn, "", host_->loop().deadline_in(kPatience)));
  REQUIRE(done.has_value());
  INFO(done->err);
  REQUIRE(done->status.success());
}

void Fixture::make_layer() {
  const fs::path root = directory_ + "/root";
  fs::create_directories(root / "bin");
  fs::create_directories(root / "www");
  fs::copy_file(kBusybox, root / "bin/busybox");
  for (const char* applet : {"sh", "sleep", "seq", "httpd", "cat", "trap", "nc", "head", "dd"}) {
    fs::create_symlink("busybox", root / "bin" / applet);
  }
  std::ofstream(root / "www/index.html") << "a page\n";
  run_tool({"mkfs.erofs", "--quiet", directory_ + "/layer.erofs", root.string()});
}

VmSpec Fixture::spec(const std::string& machine, const std::string& script) {
  VmSpec spec;
  spec.machine = MachineId(machine);
  spec.instance_id = "instance-" + machine;
  spec.memory_mib = 128;
  spec.layers = {directory_ + "/layer.erofs"};
  spec.upper = directory_ + "/" + machine + ".ext4";
  fs::remove(spec.upper);
  std::ofstream(spec.upper).close();
  fs::resize_file(spec.upper, 32 << 20);
  run_tool({"mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", spec.upper});
  const int number = next_address_++;
  spec.nic = {.tap = tap_name(spec.machine),
              .mac = mac_address(spec.machine),
              .address = fmt::format("10.201.0.{}", number),
              .gateway = "10.201.0.1",
              .address6 = fmt::format("fd00:1::{}", number),
              .gateway6 = "fd00:1::1",
              .group = kTapGroup,
              .nameservers = {"10.201.0.1"}};
  spec.hostname = machine;
  spec.process.argv = {"/bin/sh", "-c", script};
  return spec;
}

VmStatus Fixture::boot(const std::string& machine, const std::string& script) {
  const auto booted = run(driver_->boot(spec(machine, script)));
  if (!booted) FAIL(booted.error().context);
  return wait_for(machine, VmState::running);
}

VmStatus Fixture::wait_for(const std::string& machine, VmState state) {
  const Deadline deadline = host_->loop().deadline_in(kPatience);
  while (true) {
    const auto event = run(async::until(host_->loop(), deadline.at, driver_->next_event()));
    INFO("machine " << machine);
    REQUIRE(event.has_value());
    INFO((event->exit ? event->exit->reason : std::string()));
    if (event->machine.str() != machine) continue;
    if (event->state == state) return *event;
    REQUIRE(event->state != VmState::exited);
  }
}

void Fixture::sleep(Duration duration) {
  const auto nap = [](async::Loop& loop, Duration d) -> async::Task<void> {
    co_await loop.sleep(d);
  };
  run(nap(host_->loop(), duration));
}

std::string Fixture::output(const std::string& machine) {
  const auto lines = tail_log(driver_->vm_directory(MachineId(machine)), 1'000'000);
  REQUIRE(lines.has_value());
  std::string text;
  for (const LogLine& line : *lines) {
    if (line.stream != LogStream::system) text += line.message + "\n";
  }
  return text;
}

bool Fixture::wait_for_output(const std::string& machine, const std::string& text) {
  for (int i = 0; i < 200; ++i) {
    if (output(machine).find(text) != std::string::npos) return true;
    sleep(50ms);
  }
  return false;
}

async::Task<std::string> Fixture::exchange(sys::Address address) {
  auto stream = co_await host_->host().network.connect(address, host_->loop().deadline_in(2s));
  if (!stream) co_return "";
  if (!co_await (*stream)->write("GET / HTTP/1.0\r\n\r\n")) co_return "";
  std::array<char, 64> buffer;
  const auto n = co_await (*stream)->read(buffer);
  if (!n) co_return "";
  const std::string_view answer(buffer.data(), *n);
  co_return std::string(answer.substr(0, answer.find('\r')));
}

std::string Fixture::http_get(const VmSpec& spec, std::uint16_t port) {
  const auto address = sys::Address::ip(spec.nic.address, port);
  for (int i = 0; i < 100; ++i) {
    const std::string status = run(exchange(*address));
    if (!status.empty()) return status;
    sleep(50ms);
  }
  return "";
}

async::Task<void> Fixture::greet_all(sys::Listener& listener) {
  while (true) {
    auto stream = co_await listener.accept();
    if (!stream) co_return;
    [[maybe_unused]] const auto written =
        co_await (*stream)->write("HTTP/1.0 200 OK\r\n\r\nhello from the host\n");
    [[maybe_unused]] const auto ended = (*stream)->shutdown_write();
    std::array<char, 512> request;  // closing unread data would reset the connection
    [[maybe_unused]] const auto n = co_await (*stream)->read(request);
  }
}

void Fixture::serve_on_host(std::uint16_t port) {
  auto listener = host_->host().network.listen(*sys::Address::ip("0.0.0.0", port));
  REQUIRE(listener.has_value());
  listener_ = std::move(*listener);
  server_ = std::make_unique<async::TaskGroup>(host_->loop());
  server_->spawn(greet_all(*listener_));
}

void Fixture::raise_firewall(const std::vector<VmSpec>& vms) {
  const FirewallSettings settings{.table = firewall_table(directory_),
                                  .tap_group = kTapGroup,
                                  .network = "10.201.0.0/16",
                                  .network6 = "fd00:1::/64",
                                  .gateway = "10.201.0.1",
                                  .mesh = "pgw-e2e"};
  std::vector<FirewallMachine> machines;
  for (const VmSpec& vm : vms) {
    machines.push_back({.app = "app-" + vm.machine.str(),
                        .tap = vm.nic.tap,
                        .mac = vm.nic.mac,
                        .address = vm.nic.address,
                        .address6 = vm.nic.address6});
  }
  const auto raised = run(load_firewall(host_->host(), settings, std::move(machines)));
  if (!raised) FAIL(raised.error().context);
}

Result<PlatformVerdict> Fixture::detect_platform() {
  const TrialSettings settings{
      .host_dir = directory_ + "/trials",
      .monitor_program = beside_us("perigee-monitor"),
      .guest = {.kernel = guest_dir() + "/vmlinux", .initrd = guest_dir() + "/initrd.cpio"}};
  return run(vm::detect_platform(host_->host(), settings, std::nullopt));
}

bool Fixture::wait_for_end(pid_t pid) {
  for (int i = 0; i < 60; ++i) {
    if (!sys::process_start_ticks(pid)) return true;
    sleep(50ms);
  }
  return false;
}

bool Fixture::tap_exists(const std::string& machine) {
  auto netlink = sys::Netlink::open();
  REQUIRE(netlink.has_value());
  return netlink->link_index(tap_name(MachineId(machine))).has_value();
}

}  // namespace perigee::vm::e2e
