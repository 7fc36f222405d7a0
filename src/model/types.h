// The nouns of Perigee as plain values. JSON forms (model/json.h) are those of the public Machines
// API where it has them. Desired state (App, Release, Machine) is in the store and written by
// control alone; observed state (MachineStatus, NodeReport) is reported by its owner; RouteTable
// entries are derived from both by control and sent to routers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "model/port.h"
#include "model/route_certificate.h"
#include "model/scale.h"
#include "model/volume.h"

namespace perigee::model {

using StringMap = std::vector<std::pair<std::string, std::string>>;  // ordered, unique keys

// ---- what a machine runs ----

struct Guest {
  std::string cpu_kind = "shared";
  int cpus = 1;
  int memory_mib = 256;  // a multiple of 64 from 128
  bool operator==(const Guest&) const = default;
};

// What a machine may take of its node; 0: as its size says (worker/machine_limits.h).
struct MachineLimits {
  int cpu_percent = 0;  // of one core
  int net_mbit = 0;     // per second, in each direction
  int disk_iops = 0;    // of all its disks
  int disk_mib_s = 0;
  bool operator==(const MachineLimits&) const = default;
};

enum class ConcurrencyType { connections, requests };
// Which machine a request goes to, of those that have room (docs/load-balancing.md).
enum class Balancing {
  nearest,   // the nearest, up to its hard limit
  balanced,  // the nearest that is below its soft limit, as long as there is one
};
struct Concurrency {
  ConcurrencyType type = ConcurrencyType::connections;
  int soft_limit = 20;
  int hard_limit = 0;  // 0: none
  Balancing balancing = Balancing::nearest;
  bool operator==(const Concurrency&) const = default;
};

enum class CheckType { tcp, http };
enum class CheckKind { informational, readiness };
struct Check {
  CheckType type = CheckType::tcp;
  CheckKind kind = CheckKind::informational;  // readiness: gates routing, as a service's checks do
  int port = 0;                               // 0: the service's, or the first service's
  Duration interval = 15s;
  Duration timeout = 2s;
  Duration grace_period = 1s;  // after the start: failures do not count yet
  // of http checks
  std::string method = "GET";
  std::string path = "/";
  StringMap headers = {};
  bool tls = false;  // protocol "https"
  bool tls_skip_verify = false;
  std::string tls_server_name = {};  // empty: the machine's address
  bool operator==(const Check&) const = default;
};

enum class Autostop { off, stop, suspend };
struct Service {
  Protocol protocol = Protocol::tcp;
  int internal_port = 8080;
  std::vector<Port> ports = {};
  Concurrency concurrency = {};
  bool autostart = true;
  Autostop autostop = Autostop::off;
  int min_machines_running = 0;
  std::vector<Check> checks = {};
  bool operator==(const Service&) const = default;
};

// Overrides of the image's process. An unset list keeps the image's.
struct Init {
  std::optional<std::vector<std::string>> exec;  // replaces entrypoint and cmd
  std::optional<std::vector<std::string>> entrypoint;
  std::optional<std::vector<std::string>> cmd;
  bool tty = false;  // the app's standard input and output are a terminal
  bool operator==(const Init&) const = default;
};

enum class RestartKind { no, on_failure, always };
struct RestartPolicy {
  RestartKind policy = RestartKind::on_failure;
  int max_retries = 10;  // within 5 minutes
  bool operator==(const RestartPolicy&) const = default;
};

struct StopConfig {
  std::string signal = "SIGINT";  // a name that signals.h knows
  Duration timeout = 5s;
  bool operator==(const StopConfig&) const = default;
};

// How often control starts a machine by itself (schedule.h).
enum class Schedule { none, hourly, daily, weekly, monthly };
// A volume's place in the machine. A deploy's configuration names it (`name`) and leaves the choice
// of the volume to control; a machine's has `volume`.
struct Mount {
  VolumeId volume;
  std::string name;
  std::string path;           // absolute, not "/"
  std::int64_t size_mib = 0;  // of the volume that a deploy makes where there is none; 0: usual
  std::optional<bool> encrypted = std::nullopt;  // likewise; unset: usual
  bool operator==(const Mount&) const = default;
};

struct MachineConfig {
  std::string image;  // as the user wrote it, or "sha256:…" of an uploaded manifest
  StringMap env;
  Init init;
  Guest guest;
  MachineLimits limits;
  std::vector<Service> services;
  std::vector<std::pair<std::string, Check>> checks;  // by name; beside those of the services
  StringMap metadata;
  RestartPolicy restart;
  StopConfig stop;
  std::vector<Mount> mounts;
  bool auto_destroy = false;
  Schedule schedule = Schedule::none;
  bool operator==(const MachineConfig&) const = default;
};

// An image as resolved: which bytes, and where they come from.
struct ImageRef {
  std::string registry;    // "127.0.0.1:5000"; empty: uploaded to the platform (/v1/blobs)
  std::string repository;  // "hello"
  std::string tag;
  std::string digest;  // manifest digest, "sha256:…"
  bool operator==(const ImageRef&) const = default;
};

// ---- desired state (store) ----

// Where an app's machines may connect to, beside each other (model/egress.h).
struct EgressRule {
  std::string network;  // "203.0.113.0/24", "2001:db8::/32"
  int first_port = 0;   // of TCP and UDP; 0: everything
  int last_port = 0;
  bool operator==(const EgressRule&) const = default;
};
enum class EgressKind { internet, closed, listed };
struct EgressPolicy {
  EgressKind kind = EgressKind::internet;
  std::vector<EgressRule> rules = {};  // of `listed`
  bool operator==(const EgressPolicy&) const = default;
};

// An IP address that is one app's alone, on all its ports.
struct AppAddress {
  std::string address;  // "203.0.113.7", "2001:db8::7"
  WallTime created_at;
  bool operator==(const AppAddress&) const = default;
};

struct App {
  AppName name;
  std::string id;
  WallTime created_at;
  std::int64_t current_release = 0;  // 0: none has succeeded yet
  std::int64_t last_release = 0;     // the newest number given out
  EgressPolicy egress = {};
  Scale scale = {};
  std::uint32_t number = 0;  // in its machines' addresses (docs/formats/mesh.md); 0: none yet
  std::vector<AppAddress> addresses = {};
  std::vector<std::string> shared_ports = {};  // of the nodes' addresses, its alone: "tcp/5432"
  bool operator==(const App&) const = default;
};

enum class DesiredState { started, stopped, suspended, destroyed };

// Who asked for the desired state.
enum class Origin {
  user,
  deploy,
  proxy,     // a request that found no machine running
  autostop,  // no requests for a while
  schedule,
  scale,  // where the app runs and how often, or what has become of its nodes
};

struct Machine {
  MachineId id;  // 14 hex digits
  std::string name;
  AppName app;
  RegionCode region;
  NodeId node;
  std::string instance_id;  // changes with each version of the configuration
  std::int64_t version = 1;
  MachineConfig config;
  StringMap secrets;  // by name, sealed (docs/formats/sealed.md): those of this version
  ImageRef image;
  EgressPolicy egress = {};  // its app's: in the node feed alone
  // Its app's on its node, "fd12:3456:789a:5:102:304::/96"; likewise. Empty: no fleet.
  std::string private_network = {};
  DesiredState desired = DesiredState::started;
  std::int64_t desired_sequence = 1;  // +1 at every start or stop call: a repeated call acts again
  Origin origin = Origin::user;       // of the newest change of `desired`
  // How this stop or restart differs from config.stop; goes with the next change of `desired`.
  std::optional<StopConfig> stop_override;
  bool cordoned = false;  // kept out of routing
  MachineId replaces;     // made in the place of this one, whose node drains or was lost
  WallTime scheduled_at;  // the newest slot of its schedule that was seen to; 0: none yet
  std::int64_t release = 0;
  WallTime created_at;
  WallTime updated_at;
  bool operator==(const Machine&) const = default;
};

enum class ReleaseStatus { pending, running, succeeded, failed };

struct ReleaseEvent {
  WallTime at;
  std::string kind;  // "step", "log", "error", "done"
  std::string message;
  bool operator==(const ReleaseEvent&) const = default;
};

struct Release {
  AppName app;
  std::int64_t version = 0;
  ImageRef image;
  MachineConfig config;
  ReleaseStatus status = ReleaseStatus::pending;
  std::string error;  // why it failed
  std::vector<ReleaseEvent> events;
  WallTime created_at;
  bool operator==(const Release&) const = default;
};

// ---- observed state (reports) ----

// The Machines API's names; model/machine_state.h has the table of transitions.
enum class MachineState {
  created,
  starting,
  started,
  stopping,
  stopped,
  suspending,
  suspended,
  restarting,
  destroying,
  destroyed,
  failed,
};

struct ExitEvent {
  int exit_code = 0;
  int signal = 0;
  bool oom_killed = false;
  bool requested_stop = false;
  std::string reason;  // "exit code 1", "the VMM died (signal 9)", "no such command: /app"
  WallTime exited_at;
  bool operator==(const ExitEvent&) const = default;
};

enum class CheckHealth { passing, warning, critical };
struct CheckStatus {
  std::string name;
  CheckHealth status = CheckHealth::warning;
  std::string output;   // of the last attempt
  WallTime updated_at;  // when status or output changed
  bool operator==(const CheckStatus&) const = default;
};

struct MachineEvent {
  std::string type;    // launch, start, stop, exit, restart, update, destroy, check
  std::string status;  // the state after it
  std::string source;  // worker, or an Origin's name: user, deploy, proxy, autostop, schedule
  WallTime at;
  std::optional<ExitEvent> exit;
  bool operator==(const MachineEvent&) const = default;
};

struct MachineStatus {
  MachineId id;
  std::string instance_id;  // the version that runs
  MachineState state = MachineState::created;
  std::int64_t acted_sequence = 0;  // Machine::desired_sequence that the worker has acted on
  std::string private_ip;           // the guest's address on its node, "10.201.0.2"
  std::string private_ip6 = {};     // reached from all machines of its app in the fleet
  // The first TCP service's internal_port accepts connections, or, where checks gate routing, they
  // have all passed and none is critical.
  bool listening = false;
  std::string listens_on;  // where the app listens instead; empty: unknown, or nowhere
  std::optional<WallTime> started_at;
  int restart_count = 0;
  std::optional<ExitEvent> last_exit;
  std::vector<CheckStatus> checks;   // in the order of checks_of() (model/checks.h)
  std::string error;                 // why it is failed, or what it waits for
  std::vector<MachineEvent> events;  // newest last, at most kMaxMachineEvents
  bool operator==(const MachineStatus&) const = default;
};

struct NodeReport {
  NodeId node;
  RegionCode region;
  std::string boot_id;  // changes when the worker restarts
  int cpus = 0;
  std::int64_t memory_mib = 0;
  std::int64_t memory_free_mib = 0;
  std::string accelerator;                 // "kvm", "tcg", "firecracker"
  std::vector<MachineStatus> machines;     // all of this node
  std::int64_t disk_free_mib = 0;          // of the file system that holds the volumes
  std::vector<VolumeStatus> volumes = {};  // all of this node
  // Ids of the keys that its records are sealed with.
  std::vector<std::string> sealing_keys = {};
  bool operator==(const NodeReport&) const = default;
};

// ---- derived: what a router needs (feed "routes", key /routes/<app>) ----

// What a machine's checks say about sending it requests.
enum class Readiness { unchecked, pending, ready, failing };

struct RouteTarget {
  MachineId machine;
  std::string instance_id;
  RegionCode region;
  NodeId node;
  std::string address;  // "10.201.0.2"
  MachineState state = MachineState::stopped;
  bool listening = false;
  bool wakeable = false;  // it rests, and a request may have it started (autostart)
  Readiness readiness = Readiness::unchecked;
  bool operator==(const RouteTarget&) const = default;
};

struct AppRoute {
  AppName app;
  std::vector<std::string> hosts;  // "hello.localhost", "*.example.com"
  std::vector<Service> services;
  std::vector<RouteTarget> targets;
  std::vector<std::string> addresses = {};     // as App has them
  std::vector<std::string> shared_ports = {};  // likewise
  std::vector<RouteCertificate> certificates = {};
  std::vector<RouteChallenge> challenges = {};
  std::string reason;  // why there are no targets, for the error page
  bool operator==(const AppRoute&) const = default;
};

}  // namespace perigee::model
