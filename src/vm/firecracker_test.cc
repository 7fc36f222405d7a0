// Firecracker's API calls and its jail, against golden text.
#include "vm/firecracker.h"

#include <doctest/doctest.h>

#include "base/text.h"
#include "vm/jail.h"

using namespace perigee;
using namespace perigee::vm;

namespace {

BootSpec example() {
  BootSpec boot;
  boot.vm.machine = MachineId("148ed21a031189");
  boot.vm.cpus = 2;
  boot.vm.memory_mib = 256;
  boot.vm.layers = {"/disks/a.erofs", "/disks/b.erofs"};
  boot.vm.upper = "/machines/148ed21a031189/upper.ext4";
  boot.vm.nic = {.tap = "pg-148ed21a0311", .mac = "02:00:00:00:00:02", .mtu = 1420};
  boot.vmm = {.kind = VmmKind::firecracker,
              .program = "/opt/fc/firecracker-v1.16.1",
              .jailer = "/opt/fc/jailer",
              .accelerator = Accelerator::kvm,
              .kernel = "/guest/vmlinux",
              .initrd = "/guest/initrd.cpio"};
  return boot;
}

// A line for each call, and one for each member of its body.
std::string text(const std::vector<ApiCall>& calls) {
  std::string out;
  for (const ApiCall& call : calls) {
    out += fmt::format("{} {}\n", call.method, call.path);
    for (const auto& [name, value] : call.body.members()) {
      out += fmt::format("  {} {}\n", name, value.dump());
    }
  }
  return out;
}

std::string text(const JailPlan& plan) {
  std::string out = fmt::format("base {}\nroot {}\n", plan.base, plan.root);
  for (const std::string& folder : plan.folders) out += fmt::format("folder {}\n", folder);
  for (const std::string& pipe : plan.pipes) out += fmt::format("pipe {}\n", pipe);
  for (const JailFile& file : plan.files) {
    out += fmt::format("{} {} = {}\n", file.use == JailFile::Use::shared ? "shared" : "owned",
                       file.path, file.source);
  }
  return out;
}

}  // namespace

TEST_CASE("a boot is these calls to Firecracker's API") {
  CHECK(text(boot_calls(example(), {1, 16})) ==
        R"(PUT /logger
  level "Warning"
PUT /metrics
  metrics_path "/metrics"
PUT /serial
  serial_out_path "/console"
  rate_limiter {"size":65536,"refill_time":1000}
PUT /machine-config
  vcpu_count 2
  mem_size_mib 256
PUT /boot-source
  kernel_image_path "/kernel"
  initrd_path "/initrd"
  boot_args ")"
        "console=ttyS0 quiet reboot=k panic=1 i8042.noaux i8042.nomux i8042.dumbkbd "
        "cryptomgr.notests init_on_alloc=0 perigee.carrier=vsock"
        R"("
PUT /drives/disk0
  drive_id "disk0"
  path_on_host "/disk0"
  is_root_device false
  is_read_only true
  cache_type "Unsafe"
PUT /drives/disk1
  drive_id "disk1"
  path_on_host "/disk1"
  is_root_device false
  is_read_only true
  cache_type "Unsafe"
PUT /drives/disk2
  drive_id "disk2"
  path_on_host "/disk2"
  is_root_device false
  is_read_only false
  cache_type "Unsafe"
PUT /network-interfaces/eth0
  iface_id "eth0"
  host_dev_name "pg-148ed21a0311"
  guest_mac "02:00:00:00:00:02"
  mtu 1420
PUT /vsock
  guest_cid 3
  uds_path "/run/vsock.sock"
PUT /balloon
  amount_mib 0
  deflate_on_oom true
PUT /entropy
PUT /actions
  action_type "InstanceStart"
)");
}

TEST_CASE("an older Firecracker is not told what it does not know") {
  const std::string calls = text(boot_calls(example(), {1, 14}));
  CHECK(calls.find("mtu") == std::string::npos);
  CHECK(calls.find("rate_limiter") == std::string::npos);
  CHECK(text(load_calls({1, 15})).find("clock_realtime") == std::string::npos);
}

TEST_CASE("each disk is limited to what the VM's disks may do in a second") {
  BootSpec boot = example();
  boot.vm.limits.disk_iops = 1000;
  boot.vm.limits.disk_mib_s = 20;
  const std::string both = R"(rate_limiter {"bandwidth":{"size":20971520,"refill_time":1000},)"
                           R"("ops":{"size":1000,"refill_time":1000}})";
  CHECK(text(boot_calls(boot, {1, 14})).find(both) != std::string::npos);
  boot.vm.limits.disk_mib_s = 0;
  CHECK(text(boot_calls(boot, {1, 14})).find("bandwidth") == std::string::npos);
}

TEST_CASE("a VM without disks and network has neither") {
  BootSpec boot = example();
  boot.vm.layers.clear();
  boot.vm.upper.clear();
  boot.vm.nic = {};
  const std::string calls = text(boot_calls(boot, {1, 16}));
  CHECK(calls.find("/drives") == std::string::npos);
  CHECK(calls.find("/network-interfaces") == std::string::npos);
}

TEST_CASE("a snapshot is loaded into a guest that stands still, and saved elsewhere") {
  CHECK(text(load_calls({1, 16})) ==
        R"(PUT /logger
  level "Warning"
PUT /metrics
  metrics_path "/metrics"
PUT /serial
  serial_out_path "/console"
  rate_limiter {"size":65536,"refill_time":1000}
PUT /snapshot/load
  snapshot_path "/load/state"
  mem_backend {"backend_type":"File","backend_path":"/load/ram"}
  resume_vm false
  clock_realtime true
)");
  CHECK(text({pause_call(), save_call(), resume_call()}) ==
        R"(PATCH /vm
  state "Paused"
PUT /snapshot/create
  snapshot_type "Full"
  snapshot_path "/save/state"
  mem_file_path "/save/ram"
PATCH /vm
  state "Resumed"
)");
}

TEST_CASE("versions of Firecracker are read, old ones refused") {
  CHECK(parse_firecracker_version("1.16.1") == FirecrackerVersion{1, 16});
  CHECK(parse_firecracker_version("1.17.0-dev") == FirecrackerVersion{1, 17});
  CHECK(parse_firecracker_version("2.0.0") == FirecrackerVersion{2, 0});
  CHECK(parse_firecracker_version("1.13.9").error().context ==
        "Firecracker 1.13.9 is too old: install 1.14 or later");
  for (const char* words : {"", "1", "v1.16", "1.x", "1.-2", "99999.1"}) {
    CAPTURE(words);
    CHECK(!parse_firecracker_version(words).has_value());
  }
}

TEST_CASE("Firecracker's exit codes are explained") {
  CHECK(firecracker_exit_words(148) == "exit code 148: a forbidden system call (seccomp)");
  CHECK(firecracker_exit_words(77) == "exit code 77");
}

TEST_CASE("the jailer is told who the VMM is and where it is shut in") {
  const std::vector<std::string> argv =
      jailer_command(example(), {.uid = 70001, .gid = 70002}, std::nullopt);
  CHECK(join(argv, " ") ==
        "/opt/fc/jailer --id 148ed21a031189 --exec-file /opt/fc/firecracker-v1.16.1 "
        "--uid 70001 --gid 70002 --chroot-base-dir jail -- "
        "--api-sock /run/148ed21a031189.sock");
}

TEST_CASE("the jailer puts the VMM into control groups of the version that the host has") {
  using Hierarchy = sys::CgroupHierarchy;
  const Hierarchy v2{Hierarchy::Version::v2, "/cg", {sys::Controller::cpu}};
  const Hierarchy v1{Hierarchy::Version::v1, "/cg/pids", {sys::Controller::pids}};
  const sys::CgroupLimits limits{.cpu_percent = 50, .max_processes = 9};
  const auto options = [&](const std::vector<Hierarchy>& hierarchies) {
    const auto cgroups = jail_cgroups("perigee-1/148ed21a031189", hierarchies, limits);
    const std::string all = join(jailer_command(example(), {1, 1}, cgroups), " ");
    const std::size_t begin = all.find("jail ") + 5;
    return all.substr(begin, all.find("--api-sock") - begin);
  };
  CHECK(options({v2}) ==
        "--cgroup-version 2 --parent-cgroup perigee-1 --cgroup cpu.weight=100 "
        "--cgroup cpu.max=25000 50000 -- ");
  CHECK(options({v2, v1}) ==
        "--cgroup-version 1 --parent-cgroup perigee-1 --cgroup pids.max=9 -- ");
  CHECK(options({}) == "-- ");
  CHECK(!jail_cgroups("", {v2}, limits).has_value());
}

TEST_CASE("a jail holds what a boot needs") {
  CHECK(text(jail_plan(example())) == R"(base jail
root jail/firecracker-v1.16.1/148ed21a031189/root
folder /save
pipe /console
pipe /metrics
shared /kernel = /guest/vmlinux
shared /initrd = /guest/initrd.cpio
shared /disk0 = /disks/a.erofs
shared /disk1 = /disks/b.erofs
owned /disk2 = /machines/148ed21a031189/upper.ext4
)");
}

TEST_CASE("a volume is a disk whose flushes count, given to the VMM's user") {
  BootSpec boot = example();
  boot.vm.volumes = {{.disk = "/volumes/vol_1/disk.ext4", .path = "/data"}};
  CHECK(text(jail_plan(boot)).ends_with("owned /disk3 = /volumes/vol_1/disk.ext4\n"));
  CHECK(text(boot_calls(boot, {1, 16})).contains(R"(PUT /drives/disk3
  drive_id "disk3"
  path_on_host "/disk3"
  is_root_device false
  is_read_only false
  cache_type "Writeback"
)"));
}

TEST_CASE("a jail for a resume holds the snapshot in place of kernel and initrd") {
  BootSpec boot = example();
  boot.vm.resume = true;
  CHECK(text(jail_plan(boot)) == R"(base jail
root jail/firecracker-v1.16.1/148ed21a031189/root
folder /save
folder /load
pipe /console
pipe /metrics
owned /load/ram = ram
owned /load/state = vmm.state
shared /disk0 = /disks/a.erofs
shared /disk1 = /disks/b.erofs
owned /disk2 = /machines/148ed21a031189/upper.ext4
)");
}

TEST_CASE("the socket's path is short enough from the VM's directory") {
  const BootSpec boot = example();
  const JailPlan plan = jail_plan(boot);
  CHECK(in_jail(plan, jail_api_socket(boot.vm.machine)).size() < 108);
}
