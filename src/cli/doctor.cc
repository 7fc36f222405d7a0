// doctor: can this server run microVMs? Each check says ok, warn or fail, and what to do.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/trials.h"
#include "config/node_config.h"
#include "supervisor/supervisor.h"
#include "sys/socket_lookup.h"

namespace perigee::cli {
namespace {

enum class Verdict { ok, warn, bad };

struct Finding {
  Verdict verdict = Verdict::ok;
  std::string what;
  std::string next;  // the next step; empty when ok
};

std::string_view word(Verdict verdict) {
  if (verdict == Verdict::ok) return "ok";
  return verdict == Verdict::warn ? "warn" : "fail";
}

bool has_program(std::string_view name) {
  for (const char* directory :
       {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}) {
    if (::access(fmt::format("{}/{}", directory, name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Finding root() {
  if (::geteuid() == 0) return {Verdict::ok, "running as root", ""};
  return {Verdict::warn, "not running as root", "`perigee up` needs it: sudo perigee up"};
}

Finding program(std::string_view name, std::string_view package, std::string_view why) {
  if (has_program(name)) return {Verdict::ok, fmt::format("{} is installed", name), ""};
  return {Verdict::bad, fmt::format("{} is not installed ({})", name, why),
          fmt::format("apt-get install {}", package)};
}

Finding device(const std::string& path, Verdict otherwise, std::string_view next) {
  if (::access(path.c_str(), F_OK) == 0) return {Verdict::ok, path + " is there", ""};
  return {otherwise, path + " is not there", std::string(next)};
}

Finding builder() {
  for (const char* name : {"buildah", "podman", "docker"}) {
    if (has_program(name)) return {Verdict::ok, fmt::format("{} can build Dockerfiles", name), ""};
  }
  return {Verdict::warn, "no builder for Dockerfiles",
          "apt-get install buildah (images from registries and archives work without)"};
}

Finding guest_file(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  if (::access(path.c_str(), R_OK) == 0) return {Verdict::ok, path + " is there", ""};
  return {Verdict::bad, path + " is missing",
          "build it with `./dev build release`, or set guest_dir in perigeed.toml"};
}

Finding memory() {
  constexpr std::int64_t kLeastMib = 1024;
  const auto pages = static_cast<std::int64_t>(::sysconf(_SC_AVPHYS_PAGES));
  const std::int64_t mib = pages * ::sysconf(_SC_PAGESIZE) / (1024 * 1024);
  const std::string what = fmt::format("{} MiB of memory are free", mib);
  if (mib >= kLeastMib) return {Verdict::ok, what, ""};
  return {Verdict::warn, what, "few machines fit; a small one takes about 200 MiB"};
}

Finding port(const std::string& text, bool node_runs) {
  const auto address = sys::Address::parse(text);
  if (!address) return {Verdict::bad, address.error().context, "correct perigeed.toml"};
  if (node_runs) return {Verdict::ok, text + " is the running node's", ""};
  if (const auto fd = sys::listen_socket(*address, 1); !fd) {
    return {Verdict::bad, fd.error().context, "end what uses it, or change perigeed.toml"};
  }
  return {Verdict::ok, text + " is free", ""};
}

// Whether every port of address_prefixes can be served: for root alone to find out.
Finding steering(const config::NodeConfig& node) {
  const auto possible = sys::check_steering();
  if (possible) return {Verdict::ok, "every port of a network can be served (BPF sk_lookup)", ""};
  const Verdict verdict = node.address_prefixes.empty() ? Verdict::warn : Verdict::bad;
  return {verdict, "address_prefixes can't be served: " + possible.error().context,
          "list single ports in [router] tcp and udp of perigeed.toml instead"};
}

Finding daemon(const config::Paths& paths) {
  const pid_t pid = supervisor::running_supervisor(paths.run);
  if (pid != 0) return {Verdict::ok, fmt::format("perigeed runs (process {})", pid), ""};
  return {Verdict::warn, "perigeed does not run", "sudo perigee up"};
}

std::vector<Finding> examine(const config::Paths& paths, const config::NodeConfig& node) {
  const bool runs = supervisor::running_supervisor(paths.run) != 0;
  std::vector<Finding> out{
      root(),
      program("qemu-system-x86_64", "qemu-system-x86", "runs the microVMs"),
      program("mke2fs", "e2fsprogs", "makes their disks"),
      program("nft", "nftables", "keeps them apart"),
      builder(),
      device("/dev/net/tun", Verdict::bad, "modprobe tun"),
      device("/dev/kvm", Verdict::warn,
             "VMs run emulated (slower): enable virtualization in the firmware"),
      guest_file(node.guest_directory, "vmlinux"),
      guest_file(node.guest_directory, "initrd.cpio"),
      memory(),
      daemon(paths)};
  if (::geteuid() == 0) out.push_back(steering(node));
  for (const auto* list : {&node.api_listen, &node.http_listen, &node.https_listen,
                           &node.tcp_listen, &node.metrics_listen}) {
    for (const std::string& at : *list) out.push_back(port(at, runs));
  }
  return out;
}

void print_findings(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    print(fmt::format("{:<5} {}", word(finding.verdict), finding.what));
    if (!finding.next.empty()) print(fmt::format("      -> {}", finding.next));
  }
}

json::Value to_json(const std::vector<Finding>& findings) {
  json::Value out = json::array();
  for (const Finding& finding : findings) {
    out.push(json::object(
        {{"verdict", word(finding.verdict)}, {"what", finding.what}, {"next", finding.next}}));
  }
  return out;
}

}  // namespace

async::Task<Result<void>> run_doctor(Session& session) {
  CO_TRY(const config::NodeConfig node, config::load_node_config(session.paths().config_file));
  if (session.options().self_test) co_return co_await self_test(session, node);
  const std::vector<Finding> findings = examine(session.paths(), node);
  if (session.options().json) {
    print_json(to_json(findings));
  } else {
    print_findings(findings);
  }
  std::size_t bad = 0;
  for (const Finding& finding : findings) bad += finding.verdict == Verdict::bad ? 1 : 0;
  if (bad > 0) co_return fail(Code::unavailable, "{} checks failed", bad);
  co_return Result<void>();
}

}  // namespace perigee::cli
