// Client: the public API as calls. What the CLI and tests use; it knows paths, token and error
// bodies.
//
//   CO_TRY(auto api, client::Client::create(host, "http://127.0.0.1:4280", token));
//   CO_TRY(auto app, co_await api->app("hello"));
//
// An error of the API comes back with its own code and sentence; one of the connection names the
// URL and what to do. Every call is bounded (limits.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/event_parser.h"
#include "client/types.h"
#include "http/client.h"
#include "json/json.h"
#include "sys/host.h"

namespace perigee::client {

// Server-sent events of one response, in order.
class EventReader {
 public:
  EventReader(sys::Host& host, std::unique_ptr<http::Response> response)
      : host_(host), response_(std::move(response)) {}
  // nullopt: the server ended the stream.
  async::Task<Result<std::optional<Event>>> next();

 private:
  sys::Host& host_;
  std::unique_ptr<http::Response> response_;
  EventParser parser_;
};

struct NewRelease {
  std::string image;  // a reference, or the digest of a manifest that was uploaded
  model::MachineConfig config;
  RegionCode region;  // empty: control chooses
  int count = 0;      // 0: as many machines as now, one at first
};

using LogCursor = std::map<std::string, std::int64_t>;

struct LogQuery {
  int tail = 100;  // past lines of each machine
  bool follow = false;
  std::string machine;  // empty: all
  std::string region = {};
  std::string search = {};
  std::string stream = {};  // stdout, stderr, system
  std::string since = {};   // "10m"
  // Of each machine, the sequence of the last line that is known: of a reader that comes back.
  std::optional<LogCursor> after = {};
};

using OnBytes = std::function<void(std::uint64_t)>;  // sent so far

class Client {
 public:
  // `base_url`: "http://127.0.0.1:4280".
  static Result<std::unique_ptr<Client>> create(sys::Host& host, std::string_view base_url,
                                                std::string token);

  async::Task<Result<void>> health();
  async::Task<Result<std::vector<NodeInfo>>> nodes();
  // As the API has it: {"id", "token", "join", …}.
  // {"ttl_seconds", "uses", "control"}, each optional.
  async::Task<Result<json::Value>> create_join_token(json::Value options);
  async::Task<Result<json::Value>> join_tokens();
  async::Task<Result<void>> revoke_join_token(std::string id);
  // `query`: "request=ID" or "from=REGION".
  async::Task<Result<json::Value>> explain(std::string app, std::string query);
  async::Task<Result<std::vector<AppInfo>>> apps();
  async::Task<Result<AppInfo>> app(std::string name);
  async::Task<Result<AppInfo>> create_app(std::string name);
  async::Task<Result<void>> destroy_app(std::string name);
  // As the API has it: {"policy", "allow"}.
  async::Task<Result<json::Value>> egress(std::string app);
  async::Task<Result<json::Value>> set_egress(std::string app, json::Value policy);
  // As the API has it: {"ips": [{"ip", "type", "created_at"}], "shared_ports"}; one of "ips".
  async::Task<Result<json::Value>> addresses(std::string app);
  async::Task<Result<json::Value>> allocate_address(std::string app, std::string type);
  async::Task<Result<void>> release_address(std::string app, std::string address);
  // As the API has them: {"certificates": […]}, one of them. `body`: {"hostname", "fullchain",
  // "private_key"}.
  async::Task<Result<json::Value>> certificates(std::string app);
  async::Task<Result<json::Value>> certificate(std::string app, std::string host);
  async::Task<Result<json::Value>> add_certificate(std::string app, std::string host);
  async::Task<Result<json::Value>> import_certificate(std::string app, json::Value body);
  async::Task<Result<json::Value>> check_certificate(std::string app, std::string host);
  async::Task<Result<void>> remove_certificate(std::string app, std::string host);
  async::Task<Result<std::vector<MachineInfo>>> machines(std::string app);
  async::Task<Result<MachineInfo>> machine(std::string app, std::string id);
  // CPU and memory of guest and VMM, now.
  async::Task<Result<json::Value>> usage(std::string app, std::string id);
  // `body` as the API has it: config, name, region, skip_launch …
  async::Task<Result<MachineInfo>> create_machine(std::string app, json::Value body);
  async::Task<Result<MachineInfo>> update_machine(std::string app, std::string id,
                                                  json::Value body);
  enum class Force { no, yes };
  async::Task<Result<void>> destroy_machine(std::string app, std::string id, Force force);
  // `action`: start, stop, restart, suspend, cordon, uncordon, with a query ("?timeout=5s") and a
  // body where it takes them.
  async::Task<Result<void>> act(std::string app, std::string id, std::string action,
                                json::Value body = {});
  // Until the machine is in `state`; `deadline_exceeded` after `timeout`.
  async::Task<Result<void>> wait_machine(std::string app, std::string id, std::string state,
                                         Duration timeout);
  async::Task<Result<json::Value>> lease(std::string app, std::string id);  // its `data`
  async::Task<Result<void>> release_lease(std::string app, std::string id, std::string nonce);
  async::Task<Result<json::Value>> metadata(std::string app, std::string id);
  async::Task<Result<void>> set_metadata(std::string app, std::string id, std::string key,
                                         std::string value);
  async::Task<Result<void>> unset_metadata(std::string app, std::string id, std::string key);
  // An exec stream to a machine (docs/formats/exec-stream.md), not yet begun.
  async::Task<Result<std::unique_ptr<sys::Stream>>> exec(std::string app, std::string id);
  // `name`: "SIGUSR1", to the app's main process.
  async::Task<Result<void>> signal(std::string app, std::string id, std::string name);
  // What runs in the machine, as the API shows it.
  async::Task<Result<json::Value>> processes(std::string app, std::string id);
  // What the machine's kernel said on its console.
  async::Task<Result<std::string>> console(std::string app, std::string id);
  // Volumes, as the API shows them. `size`: an object with `size_gb` or `size_mb`.
  async::Task<Result<std::vector<json::Value>>> volumes(std::string app);
  async::Task<Result<json::Value>> volume(std::string app, std::string id);
  async::Task<Result<json::Value>> create_volume(std::string app, json::Value body);
  async::Task<Result<json::Value>> extend_volume(std::string app, std::string id, json::Value size);
  async::Task<Result<void>> destroy_volume(std::string app, std::string id);
  async::Task<Result<json::Value>> snapshots(std::string app, std::string volume);
  async::Task<Result<json::Value>> create_snapshot(std::string app, std::string volume);
  async::Task<Result<void>> destroy_snapshot(std::string app, std::string volume, std::string id);
  // Regions of the fleet, and those of an app with its scale, as the API has them.
  async::Task<Result<json::Value>> regions();
  async::Task<Result<json::Value>> app_regions(std::string app);
  async::Task<Result<json::Value>> set_app_regions(std::string app, json::Value body);
  async::Task<Result<json::Value>> change_app_regions(std::string app, json::Value body);
  async::Task<Result<json::Value>> scale(std::string app);
  async::Task<Result<json::Value>> set_scale(std::string app, json::Value body);
  async::Task<Result<json::Value>> node(std::string name);
  // `action`: cordon, uncordon, drain.
  async::Task<Result<json::Value>> act_on_node(std::string name, std::string action,
                                               json::Value body);
  // Force: with what is known to be lost there.
  async::Task<Result<void>> remove_node(std::string name, Force force);
  async::Task<Result<bool>> has_blob(std::string digest);
  async::Task<Result<void>> put_blob(std::string digest, std::string path, OnBytes sent);
  async::Task<Result<std::vector<ReleaseInfo>>> releases(std::string app);
  async::Task<Result<ReleaseInfo>> release(std::string app, std::int64_t version);
  async::Task<Result<ReleaseInfo>> deploy(std::string app, NewRelease release);
  // From the first event, or after the one with that id, to the deploy's end.
  async::Task<Result<std::unique_ptr<EventReader>>> release_events(std::string app,
                                                                   std::int64_t version,
                                                                   std::string after);
  async::Task<Result<std::unique_ptr<EventReader>>> logs(std::string app, LogQuery query);
  // {"registries": [{registry, username, digest, created_at, updated_at}]}.
  async::Task<Result<json::Value>> registries();
  // `login`: {username, password}; answers as one of the above.
  async::Task<Result<json::Value>> set_registry_login(std::string registry, json::Value login);
  async::Task<Result<void>> remove_registry_login(std::string registry);
  // {"secrets": [{name, digest, created_at, updated_at}]}, from both.
  async::Task<Result<json::Value>> secrets(std::string app);
  // `values`: names to strings, or to null to remove them.
  async::Task<Result<json::Value>> set_secrets(std::string app, json::Value values);
  // A release of what serves now, with the secrets as they are now.
  async::Task<Result<ReleaseInfo>> redeploy(std::string app);
  // {"primary": id, "keys": [{id, uses}]}, from both.
  async::Task<Result<json::Value>> keys();
  async::Task<Result<json::Value>> rotate_key();

 private:
  Client(sys::Host& host, std::string base_url, sys::Address address, std::string authority,
         std::string token);
  http::RequestHead head(std::string method, std::string target) const;
  Error unreachable(const Error& error) const;
  // The body of a good answer, whatever it holds.
  async::Task<Result<std::string>> exchange(http::RequestHead request, json::Value body,
                                            Duration timeout);
  // The document in it; null: it was empty.
  async::Task<Result<json::Value>> call(std::string method, std::string target, json::Value body);
  async::Task<Result<std::unique_ptr<EventReader>>> follow(std::string target);

  sys::Host& host_;
  std::string base_url_;
  sys::Address address_;
  std::string authority_;
  std::string token_;
  http::Client http_;
};

}  // namespace perigee::client
