#include "worker/metrics.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "worker/exposition.h"

namespace perigee::worker {
namespace {

using channel::Stats;
using Type = Exposition::Type;
using Machines = std::vector<MachineSample>;

constexpr double kCenti = 100;
constexpr double kMilli = 1000;
constexpr std::uint64_t kSectorBytes = 512;

Labels labels_of(const MachineSample& sample) {
  return {{"app", sample.app.str()},
          {"region", sample.region.str()},
          {"host", sample.node.str()},
          {"instance", sample.machine.str()}};
}

Labels with(Labels labels, std::string_view name, std::string value) {
  labels.emplace_back(name, std::move(value));
  return labels;
}

template <std::size_t N>
std::size_t index_of(const std::array<std::string_view, N>& fields, std::string_view name) {
  const auto at = std::ranges::find(fields, name);
  PERIGEE_CHECK(at != fields.end());
  return static_cast<std::size_t>(at - fields.begin());
}

template <std::size_t N>
double seconds_of(const std::array<std::uint64_t, N>& values, std::size_t index, double unit) {
  return static_cast<double>(values[index]) / unit;
}

// "MemAvailable" → "mem_available", as fly.io names it.
std::string snake(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += '_';
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

// ---- perigee_machine_* ----

void write_state(Exposition& out, const Machines& machines) {
  out.family("perigee_machine_up", Type::gauge, "Whether the machine's app runs.");
  for (const MachineSample& each : machines) {
    const bool up = each.status.state == model::MachineState::started;
    out.sample(labels_of(each), std::uint64_t{up});
  }
  out.family("perigee_machine_restarts", Type::gauge,
             "Restarts by policy since somebody started the machine.");
  for (const MachineSample& each : machines) {
    out.sample(labels_of(each), static_cast<std::uint64_t>(each.status.restart_count));
  }
  out.family("perigee_machine_check_passing", Type::gauge, "Whether the check passes.");
  for (const MachineSample& each : machines) {
    for (const model::CheckStatus& check : each.status.checks) {
      out.sample(with(labels_of(each), "check", check.name),
                 std::uint64_t{check.status == model::CheckHealth::passing});
    }
  }
}

void write_processor(Exposition& out, const Machines& machines) {
  out.family("perigee_machine_load_average", Type::gauge,
             "The guest's load average over so many minutes.");
  for (const MachineSample& each : machines) {
    for (std::size_t i = 0; each.guest && i < channel::kLoadFields.size(); ++i) {
      out.sample(with(labels_of(each), "minutes", std::string(channel::kLoadFields[i])),
                 each.guest->load_centi[i] / kCenti);
    }
  }
  out.family("perigee_machine_cpu_seconds_total", Type::counter,
             "Time of the guest's CPUs by what they did with it.");
  for (const MachineSample& each : machines) {
    if (!each.guest) continue;
    for (const auto& cpu : each.guest->cpus) {
      const Labels labels = with(labels_of(each), "cpu", cpu.name);
      for (std::size_t i = 0; i < channel::kCpuFields.size(); ++i) {
        out.sample(with(labels, "mode", std::string(channel::kCpuFields[i])),
                   seconds_of(cpu.values, i, kCenti));
      }
    }
  }
}

void write_memory(Exposition& out, const Machines& machines) {
  out.family("perigee_machine_memory_bytes", Type::gauge,
             "The guest's memory by use, as in its /proc/meminfo.");
  for (const MachineSample& each : machines) {
    for (std::size_t i = 0; each.guest && i < channel::kMemoryFields.size(); ++i) {
      out.sample(with(labels_of(each), "use", snake(channel::kMemoryFields[i])),
                 each.guest->memory[i]);
    }
  }
  out.family("perigee_machine_open_files", Type::gauge, "Open files of the guest.");
  for (const MachineSample& each : machines) {
    if (each.guest) out.sample(labels_of(each), each.guest->files_open);
  }
}

// One family for one field of each row that `rows` gives of a guest.
template <typename Rows>
void write_rows(Exposition& out, const Machines& machines, std::string_view label, Rows rows,
                std::size_t field, std::uint64_t factor = 1) {
  for (const MachineSample& each : machines) {
    if (!each.guest) continue;
    for (const auto& row : rows(*each.guest)) {
      out.sample(with(labels_of(each), label, row.name), row.values[field] * factor);
    }
  }
}

const auto& disks_of(const Stats& stats) {
  return stats.disks;
}
const auto& networks_of(const Stats& stats) {
  return stats.networks;
}
const auto& filesystems_of(const Stats& stats) {
  return stats.filesystems;
}

void write_disks(Exposition& out, const Machines& machines) {
  struct Family {
    const char* name;
    const char* help;
    std::string_view field;
    std::uint64_t factor;
  };
  for (const Family& family : std::initializer_list<Family>{
           {"perigee_machine_disk_reads_total", "Reads that the guest's disk has completed.",
            "reads_completed", 1},
           {"perigee_machine_disk_writes_total", "Writes that the guest's disk has completed.",
            "writes_completed", 1},
           {"perigee_machine_disk_read_bytes_total", "Bytes read from the guest's disk.",
            "sectors_read", kSectorBytes},
           {"perigee_machine_disk_written_bytes_total", "Bytes written to the guest's disk.",
            "sectors_written", kSectorBytes}}) {
    out.family(family.name, Type::counter, family.help);
    write_rows(out, machines, "device", disks_of, index_of(channel::kDiskFields, family.field),
               family.factor);
  }
  out.family("perigee_machine_disk_io_seconds_total", Type::counter,
             "Time in which the guest's disk had something to do.");
  const std::size_t busy = index_of(channel::kDiskFields, "time_io");
  for (const MachineSample& each : machines) {
    if (!each.guest) continue;
    for (const auto& disk : each.guest->disks) {
      out.sample(with(labels_of(each), "device", disk.name), seconds_of(disk.values, busy, kMilli));
    }
  }
}

void write_filesystems(Exposition& out, const Machines& machines) {
  const std::size_t unit = index_of(channel::kFilesystemFields, "block_size");
  for (const auto& [name, field, help] :
       {std::tuple("perigee_machine_filesystem_size_bytes", "blocks",
                   "Size of the guest's file system."),
        std::tuple("perigee_machine_filesystem_avail_bytes", "blocks_avail",
                   "What is left of the guest's file system.")}) {
    out.family(name, Type::gauge, help);
    const std::size_t blocks = index_of(channel::kFilesystemFields, field);
    for (const MachineSample& each : machines) {
      if (!each.guest) continue;
      for (const auto& row : each.guest->filesystems) {
        out.sample(with(labels_of(each), "mount", row.name), row.values[blocks] * row.values[unit]);
      }
    }
  }
}

void write_networks(Exposition& out, const Machines& machines) {
  for (const auto& [name, field, help] :
       {std::tuple("perigee_machine_network_receive_bytes_total", "recv_bytes",
                   "Bytes that the guest's interface has received."),
        std::tuple("perigee_machine_network_transmit_bytes_total", "sent_bytes",
                   "Bytes that the guest's interface has sent."),
        std::tuple("perigee_machine_network_receive_packets_total", "recv_packets",
                   "Packets that the guest's interface has received."),
        std::tuple("perigee_machine_network_transmit_packets_total", "sent_packets",
                   "Packets that the guest's interface has sent.")}) {
    out.family(name, Type::counter, help);
    write_rows(out, machines, "device", networks_of, index_of(channel::kNetworkFields, field));
  }
}

// What the host sees, whatever the guest says.
void write_host_side(Exposition& out, const Machines& machines) {
  using Process = std::optional<sys::ProcessUsage> MachineSample::*;
  for (const auto& [process, name] :
       {std::pair<Process, const char*>(&MachineSample::vmm, "vmm"),
        std::pair<Process, const char*>(&MachineSample::monitor, "monitor")}) {
    out.family(fmt::format("perigee_machine_{}_cpu_seconds_total", name), Type::counter,
               fmt::format("CPU time of the machine's {} on the host.", name));
    for (const MachineSample& each : machines) {
      if (const auto& used = each.*process) out.sample(labels_of(each), to_seconds(used->cpu));
    }
    out.family(fmt::format("perigee_machine_{}_resident_bytes", name), Type::gauge,
               fmt::format("Memory of the machine's {} on the host (RSS).", name));
    for (const MachineSample& each : machines) {
      if (const auto& used = each.*process) out.sample(labels_of(each), used->resident_bytes);
    }
    out.family(fmt::format("perigee_machine_{}_proportional_bytes", name), Type::gauge,
               "The same with shared pages counted in part (PSS).");
    for (const MachineSample& each : machines) {
      if (const auto& used = each.*process) out.sample(labels_of(each), used->proportional_bytes);
    }
  }
  using Field = std::uint64_t sys::InterfaceUsage::*;
  for (const auto& [name, field] :
       {std::pair<const char*, Field>("receive_bytes", &sys::InterfaceUsage::received_bytes),
        std::pair<const char*, Field>("receive_packets", &sys::InterfaceUsage::received_packets),
        std::pair<const char*, Field>("transmit_bytes", &sys::InterfaceUsage::sent_bytes),
        std::pair<const char*, Field>("transmit_packets", &sys::InterfaceUsage::sent_packets)}) {
    out.family(fmt::format("perigee_machine_tap_{}_total", name), Type::counter,
               "Counted by the host at the machine's tap, from the host's side.");
    for (const MachineSample& each : machines) {
      if (each.tap) out.sample(labels_of(each), (*each.tap).*field);
    }
  }
}

// What the VMM says of itself.
void write_vmm_counters(Exposition& out, const Machines& machines) {
  for (std::size_t i = 0; i < vm::kVmmCounters.size(); ++i) {
    const vm::VmmCounter& counter = vm::kVmmCounters[i];
    out.family(fmt::format("perigee_machine_vmm_{}_total", counter.name), Type::counter,
               counter.help);
    for (const MachineSample& each : machines) {
      if (each.vmm_counts) out.sample(labels_of(each), (*each.vmm_counts)[i]);
    }
  }
}

// ---- fly_instance_*, in fly.io's units ----

void write_fly_state(Exposition& out, const Machines& machines) {
  out.family("fly_instance_up", Type::gauge, "As perigee_machine_up.");
  for (const MachineSample& each : machines) {
    const bool up = each.status.state == model::MachineState::started;
    out.sample(labels_of(each), std::uint64_t{up});
  }
  out.family("fly_instance_exit_code", Type::gauge, "Exit code of the app's last end.");
  for (const MachineSample& each : machines) {
    if (each.status.last_exit) {
      out.sample(labels_of(each), static_cast<double>(each.status.last_exit->exit_code));
    }
  }
  out.family("fly_instance_exit_oom", Type::gauge, "Whether that was for want of memory.");
  for (const MachineSample& each : machines) {
    if (each.status.last_exit) {
      out.sample(labels_of(each), std::uint64_t{each.status.last_exit->oom_killed});
    }
  }
}

void write_fly_guest(Exposition& out, const Machines& machines) {
  out.family("fly_instance_load_average", Type::gauge, "As perigee_machine_load_average.");
  for (const MachineSample& each : machines) {
    for (std::size_t i = 0; each.guest && i < channel::kLoadFields.size(); ++i) {
      out.sample(with(labels_of(each), "minutes", std::string(channel::kLoadFields[i])),
                 each.guest->load_centi[i] / kCenti);
    }
  }
  out.family("fly_instance_cpu", Type::untyped, "CPU time in centiseconds.");
  for (const MachineSample& each : machines) {
    if (!each.guest) continue;
    for (const auto& cpu : each.guest->cpus) {
      const Labels labels = with(labels_of(each), "cpu_id", cpu.name);
      for (std::size_t i = 0; i < channel::kCpuFields.size(); ++i) {
        out.sample(with(labels, "mode", std::string(channel::kCpuFields[i])), cpu.values[i]);
      }
    }
  }
  for (std::size_t i = 0; i < channel::kMemoryFields.size(); ++i) {
    out.family(
        fmt::format("fly_instance_memory_{}", snake(channel::kMemoryFields[i])), Type::gauge,
        fmt::format("{} of the guest's /proc/meminfo, in bytes.", channel::kMemoryFields[i]));
    for (const MachineSample& each : machines) {
      if (each.guest) out.sample(labels_of(each), each.guest->memory[i]);
    }
  }
  out.family("fly_instance_filefd_allocated", Type::gauge, "Open files of the guest.");
  for (const MachineSample& each : machines) {
    if (each.guest) out.sample(labels_of(each), each.guest->files_open);
  }
  out.family("fly_instance_filefd_maximum", Type::gauge, "Limit of the guest's open files.");
  for (const MachineSample& each : machines) {
    if (each.guest) out.sample(labels_of(each), each.guest->files_limit);
  }
}

// A family for each field of a kernel's table.
template <typename Rows>
void write_fly_table(Exposition& out, const Machines& machines, std::string_view table,
                     std::span<const std::string_view> fields, std::string_view label, Rows rows) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    out.family(fmt::format("fly_instance_{}_{}", table, fields[i]), Type::untyped,
               fmt::format("{} of the guest's kernel.", fields[i]));
    write_rows(out, machines, label, rows, i);
  }
}

// ---- daemons ----

void write_daemons(Exposition& out, const std::vector<DaemonSample>& daemons) {
  out.family("perigee_process_cpu_seconds_total", Type::counter, "CPU time of a daemon.");
  for (const DaemonSample& each : daemons) {
    out.sample({{"role", each.role}}, to_seconds(each.usage.cpu));
  }
  out.family("perigee_process_resident_bytes", Type::gauge, "Memory of a daemon (RSS).");
  for (const DaemonSample& each : daemons) {
    out.sample({{"role", each.role}}, each.usage.resident_bytes);
  }
  out.family("perigee_process_proportional_bytes", Type::gauge, "Memory of a daemon (PSS).");
  for (const DaemonSample& each : daemons) {
    out.sample({{"role", each.role}}, each.usage.proportional_bytes);
  }
}

void write_certificates(Exposition& out, const std::vector<CertificateSample>& certificates) {
  const auto labels = [](const CertificateSample& each) {
    return Labels{{"app", each.app}, {"host", each.host}};
  };
  out.family("perigee_certificate_end_seconds", Type::gauge,
             "Unix time when a certificate of an app's own host ends.");
  for (const CertificateSample& each : certificates) {
    if (each.end_seconds > 0) {
      out.sample(labels(each), static_cast<std::uint64_t>(each.end_seconds));
    }
  }
  out.family("perigee_certificate_failed_orders", Type::gauge,
             "Orders for a certificate of the host that have failed in a row.");
  for (const CertificateSample& each : certificates) {
    out.sample(labels(each), static_cast<std::uint64_t>(each.failed_orders));
  }
}

json::Value process_json(const sys::ProcessUsage& usage) {
  return json::object({{"cpu_seconds", to_seconds(usage.cpu)},
                       {"resident_bytes", usage.resident_bytes},
                       {"proportional_bytes", usage.proportional_bytes}});
}

// Seconds in which the guest's CPUs were not idle.
double busy_seconds(const Stats& stats) {
  double busy = 0;
  for (const auto& cpu : stats.cpus) {
    for (std::size_t i = 0; i < channel::kCpuFields.size(); ++i) {
      const bool idle = channel::kCpuFields[i] == "idle" || channel::kCpuFields[i] == "iowait";
      if (!idle) busy += seconds_of(cpu.values, i, kCenti);
    }
  }
  return busy;
}

}  // namespace

std::string metrics_text(const NodeSample& sample) {
  Exposition out;
  const Machines& machines = sample.machines;
  write_state(out, machines);
  write_processor(out, machines);
  write_memory(out, machines);
  write_disks(out, machines);
  write_filesystems(out, machines);
  write_networks(out, machines);
  write_host_side(out, machines);
  write_vmm_counters(out, machines);
  write_fly_state(out, machines);
  write_fly_guest(out, machines);
  write_fly_table(out, machines, "disk", channel::kDiskFields, "device", disks_of);
  write_fly_table(out, machines, "net", channel::kNetworkFields, "device", networks_of);
  write_fly_table(out, machines, "filesystem", channel::kFilesystemFields, "mount", filesystems_of);
  write_daemons(out, sample.daemons);
  write_certificates(out, sample.certificates);
  return std::move(out).text();
}

json::Value usage_json(const MachineSample& sample) {
  json::Value out = json::object();
  if (sample.guest) {
    const Stats& stats = *sample.guest;
    const std::size_t total = index_of(channel::kMemoryFields, "MemTotal");
    const std::size_t available = index_of(channel::kMemoryFields, "MemAvailable");
    json::Value load = json::array();
    for (const std::uint32_t centi : stats.load_centi) load.push(centi / kCenti);
    out.set("guest", json::object({{"cpus", static_cast<std::int64_t>(stats.cpus.size())},
                                   {"cpu_seconds", busy_seconds(stats)},
                                   {"load", std::move(load)},
                                   {"memory_total_bytes", stats.memory[total]},
                                   {"memory_available_bytes", stats.memory[available]}}));
  }
  if (sample.vmm) out.set("vmm", process_json(*sample.vmm));
  if (sample.monitor) out.set("monitor", process_json(*sample.monitor));
  return out;
}

}  // namespace perigee::worker
