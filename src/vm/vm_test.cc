#include <doctest/doctest.h>

#include "base/text.h"
#include "channel/limits.h"
#include "vm/firewall.h"
#include "vm/qemu.h"
#include "vm/spec.h"

using namespace perigee;
using namespace perigee::vm;

namespace {

BootSpec example() {
  BootSpec boot;
  boot.vm.machine = MachineId("148ed21a031189");
  boot.vm.instance_id = "01HX";
  boot.vm.cpus = 2;
  boot.vm.memory_mib = 256;
  boot.vm.layers = {"/disks/a.erofs", "/disks/b,c.erofs"};
  boot.vm.upper = "/machines/148ed21a031189/upper.ext4";
  boot.vm.volumes = {{.disk = "/volumes/vol_1/disk.ext4", .path = "/data"}};
  boot.vm.nic = {.tap = "pg-148ed21a0311",
                 .mac = "02:00:00:00:00:02",
                 .address = "10.201.0.2",
                 .gateway = "10.201.0.1",
                 .address6 = "fd00:1::2",
                 .gateway6 = "fd00:1::1",
                 .group = 0xfedcba99,
                 .mtu = 1420,
                 .nameservers = {"10.201.0.1"}};
  boot.vm.hostname = "148ed21a031189";
  boot.vm.log_bytes = 8 << 20;
  boot.vm.process = {
      .argv = {"/bin/app", "a b"}, .env = {"K=V=W"}, .user = "web:www", .directory = "/srv"};
  boot.vm.uid = 1879048194;
  boot.vm.cgroup = "perigee-12345678/148ed21a031189";
  boot.vm.limits = {.cpu_percent = 50, .cpu_weight = 200, .disk_iops = 1000, .disk_mib_s = 20};
  boot.vmm = {.accelerator = Accelerator::tcg,
              .kernel = "/guest/vmlinux",
              .initrd = "/guest/initrd.cpio",
              .tsc_khz = 2596138};
  boot.socket = "/run/perigee/vm/148ed21a031189.sock";
  return boot;
}

}  // namespace

TEST_CASE("the QEMU command line is what the boot measurements chose") {
  const std::vector<std::string> argv = qemu_command(example());
  CHECK(join(argv, "\n") ==
        R"(qemu-system-x86_64
-name
guest=perigee-148ed21a031189
-nodefaults
-no-user-config
-no-reboot
-display
none
-object
memory-backend-file,id=ram,size=256M,mem-path=/proc/self/fd/7,share=on
-machine
microvm,auto-kernel-cmdline=off,memory-backend=ram,dump-guest-core=off
-accel
tcg,tb-size=64
-cpu
max
-smp
2
-m
256M
-sandbox
on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-kernel
/proc/self/fd/9
-initrd
/proc/self/fd/10
-append
)"
        "console=ttyS0 quiet reboot=t panic=-1 no_timer_check cryptomgr.notests "
        "init_on_alloc=0 tsc_early_khz=2596138 tsc=reliable"
        R"(
-drive
id=disk0,if=none,format=raw,readonly=on,file=/proc/self/fd/16,throttling.group=disks,throttling.iops-total=1000,throttling.bps-total=20971520
-device
virtio-blk-device,drive=disk0
-drive
id=disk1,if=none,format=raw,readonly=on,file=/proc/self/fd/17,throttling.group=disks,throttling.iops-total=1000,throttling.bps-total=20971520
-device
virtio-blk-device,drive=disk1
-drive
id=disk2,if=none,format=raw,cache=unsafe,file=/proc/self/fd/18,throttling.group=disks,throttling.iops-total=1000,throttling.bps-total=20971520
-device
virtio-blk-device,drive=disk2
-drive
id=disk3,if=none,format=raw,cache=writeback,discard=unmap,file=/proc/self/fd/19,throttling.group=disks,throttling.iops-total=1000,throttling.bps-total=20971520
-device
virtio-blk-device,drive=disk3
-netdev
tap,id=net0,fd=6
-device
virtio-net-device,netdev=net0,mac=02:00:00:00:00:02
-chardev
socket,id=channel,fd=3,server=on,wait=off
-device
virtio-serial-device,max_ports=2
-device
virtserialport,chardev=channel,name=perigee.control
-chardev
socket,id=console,fd=4,server=on,wait=off
-serial
chardev:console
-chardev
socket,id=qmp,fd=5,server=on,wait=off
-mon
chardev=qmp,mode=control)");
}

TEST_CASE("KVM takes the host's processor and its own clock") {
  BootSpec boot = example();
  boot.vmm.accelerator = Accelerator::kvm;
  const std::string text = join(qemu_command(boot), " ");
  CHECK(text.find("-accel kvm -cpu host") != std::string::npos);
  CHECK(text.find("tsc_early_khz") == std::string::npos);
}

TEST_CASE("a boot specification survives JSON") {
  const auto parsed = json::parse(to_json(example()).dump());
  REQUIRE(parsed.has_value());
  const auto back = boot_spec_from(*parsed);
  REQUIRE(back.has_value());
  CHECK((*back == example()));
}

TEST_CASE("a snapshot is of the volumes that the VM had") {
  BootSpec other = example();
  CHECK(hardware_of(other) == hardware_of(example()));
  other.vm.volumes.clear();
  CHECK_FALSE(hardware_of(other) == hardware_of(example()));
}

TEST_CASE("a bad boot specification is refused with the member's path") {
  const auto refusal = [](const char* text) {
    const auto value = json::parse(text);
    REQUIRE(value.has_value());
    const auto spec = boot_spec_from(*value);
    return spec ? std::string("accepted") : spec.error().context;
  };
  CHECK(refusal("{}").find("machine") != std::string::npos);
  CHECK(refusal(R"({"machine":"m","cpus":99999999999})").find("cpus") != std::string::npos);
  CHECK(refusal(R"({"machine":"m","vmm":{"accelerator":"hax"}})").find("hax") != std::string::npos);
  CHECK(refusal(R"({"machine":"m","nic":{"mtu":"big"},"vmm":{}})").find("nic") !=
        std::string::npos);
}

TEST_CASE("a status survives JSON in every state") {
  VmStatus status;
  status.machine = MachineId("m1");
  status.instance_id = "i1";
  status.vmm_pid = 12;
  status.monitor_pid = 13;
  const auto check_round_trip = [&] {
    const auto back = status_from(*json::parse(to_json(status).dump()));
    REQUIRE(back.has_value());
    CHECK((*back == status));
  };
  check_round_trip();
  status.state = VmState::running;
  status.started_at = WallTime{1'795'493'003'669'694'281};
  check_round_trip();
  status.state = VmState::exited;
  status.ended_at = WallTime{1'795'493'003'669'694'299};
  status.exit = VmExit{.exit_code = 143, .signal = 15, .oom_killed = true, .reason = "signal 15"};
  check_round_trip();
}

TEST_CASE("a VMM record survives JSON") {
  const VmmRecord record{.pid = 7, .start_ticks = 99, .host_boot = "b", .started_at = WallTime{5}};
  const auto back = vmm_record_from(*json::parse(to_json(record).dump()));
  REQUIRE(back.has_value());
  CHECK((*back == record));
}

TEST_CASE("tap and MAC follow from the machine's id") {
  const MachineId machine("148ed21a031189");
  CHECK(tap_name(machine) == "pg-148ed21a0311");
  CHECK(tap_name(machine).size() <= 15);
  CHECK(mac_address(machine).starts_with("02:"));
  CHECK(mac_address(machine).size() == 17);
  CHECK(mac_address(machine) == mac_address(machine));
  CHECK(mac_address(machine) != mac_address(MachineId("148ed21a031188")));
}

TEST_CASE("secrets are not in the spec, which says that there are some") {
  BootSpec boot = example();
  boot.vm.secrets = {.environment = {"PASSWORD=hunter2"},
                     .volume_keys = {{0, std::string(channel::kVolumeKeyBytes, 'k')}}};
  boot.needs_secrets = true;
  const std::string text = to_json(boot).dump();
  CHECK(text.find("hunter2") == std::string::npos);
  const BootSpec read = *boot_spec_from(*json::parse(text));
  CHECK(read.needs_secrets);
  CHECK(read.vm.secrets.empty());
}

TEST_CASE("secrets go to a monitor and come out as they were") {
  std::string key(channel::kVolumeKeyBytes, '\0');
  key[1] = '\xff';
  const VmSecrets secrets{.environment = {"A=1", "B=two\nlines", "C="},
                          .volume_keys = {{0, key}, {2, key}}};
  const std::string input = secrets_input(secrets);
  CHECK(*secrets_from(input) == secrets);
  CHECK(secrets_from("")->empty());
  CHECK_FALSE(secrets_from(input.substr(0, input.size() - 1)).has_value());
  CHECK_FALSE(secrets_from(input.substr(0, 6)).has_value());
  using namespace std::string_view_literals;
  CHECK_FALSE(secrets_from("A=1\0"sv).has_value());         // of no kind
  CHECK_FALSE(secrets_from("key:0short\0"sv).has_value());  // too short a key
  CHECK_FALSE(secrets_from(input + input).has_value());     // a variable after a key
}
