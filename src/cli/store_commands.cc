#include "cli/store_commands.h"

#include "config/node_config.h"
#include "store/backup.h"
#include "store/limits.h"
#include "store/open.h"
#include "supervisor/supervisor.h"

namespace perigee::cli {
namespace {

using Engine = config::StoreConfig::Engine;
using OpenStore = std::unique_ptr<store::Store>;

constexpr unsigned kOwnersAlone = 0600;
constexpr Duration kQuietTime = 4s;  // longer than a control is silent

std::string name_of(Engine engine) {
  return engine == Engine::sqlite ? "sqlite" : "etcd";
}

// [store] of this node, which must be one that has a store.
Result<config::StoreConfig> store_config(Session& session) {
  const std::string& file = session.paths().config_file;
  TRY(const config::NodeConfig node, config::load_node_config(file));
  if (!node.runs("control"))
    return fail(Code::invalid_argument, "{}: this node does not run control: use one that does",
                file);
  return node.store;
}

// A store that is there already; SQLite would make an empty one.
async::Task<Result<OpenStore>> open_existing(Session& session, config::StoreConfig config) {
  const std::string path = session.paths().store();
  if (config.engine == Engine::sqlite) {
    CO_TRY(const bool there, co_await session.host().disk.exists(path));
    if (!there) co_return fail(Code::not_found, "{}: there is no store on this node", path);
  }
  co_return co_await store::open_store(session.host(), std::move(config), path);
}

// Control writes to the store: what is put into it must have it alone.
Result<void> check_down(Session& session) {
  if (supervisor::running_supervisor(session.paths().run) == 0) return {};
  return fail(Code::conflict,
              "perigeed runs on this node: sudo perigee down --keep-machines (machines and what "
              "they serve go on)");
}

// Controls of other nodes write to their keys every few seconds (control/leadership.h).
async::Task<Result<void>> check_quiet(Session& session, store::Store& store) {
  CO_TRY(const store::Listing before, co_await store.list("/controls/"));
  if (before.entries.empty()) co_return Result<void>();
  co_await session.host().loop.sleep(kQuietTime);
  CO_TRY(const store::Listing after, co_await store.list("/controls/"));
  if (after.entries == before.entries) co_return Result<void>();
  co_return fail(Code::conflict,
                 "control runs on another node with this store: sudo perigee down "
                 "--keep-machines there, too");
}

store::Target target_of(Session& session) {
  return session.options().store.force ? store::Target::anything : store::Target::empty;
}

void report(Session& session, const store::Listing& content, std::string_view words) {
  const auto keys = static_cast<std::int64_t>(content.entries.size());
  if (session.options().json)
    print_json(json::object({{"keys", keys}, {"revision", content.revision}}));
  else
    print(fmt::format("{} keys, as of revision {}, {}", keys, content.revision, words));
}

}  // namespace

async::Task<Result<void>> run_store_backup(Session& session) {
  const std::string file = session.options().store.file;
  CO_TRY(config::StoreConfig config, store_config(session));
  CO_TRY(const OpenStore from, co_await open_existing(session, std::move(config)));
  CO_TRY_VOID(co_await store::check_loaded(*from));
  CO_TRY(const store::Listing content, co_await from->list("/"));
  CO_TRY_VOID_AS(co_await session.host().disk.write_file(file, store::encode_backup(content),
                                                         kOwnersAlone, sys::Durability::synced),
                 "the backup");
  report(session, content, fmt::format("are in {}.", file));
  co_return Result<void>();
}

async::Task<Result<void>> run_store_restore(Session& session) {
  const std::string file = session.options().store.file;
  CO_TRY(config::StoreConfig config, store_config(session));
  CO_TRY_VOID(check_down(session));
  CO_TRY(const std::string text,
         co_await session.host().disk.read_file(file, store::kMaxBackupBytes));
  CO_TRY_AS(store::Listing content, store::parse_backup(text), file);
  CO_TRY(const OpenStore into,
         co_await store::open_store(session.host(), std::move(config), session.paths().store()));
  CO_TRY_VOID(co_await check_quiet(session, *into));
  CO_TRY_VOID(co_await store::load(*into, content, target_of(session)));
  report(session, content, "are in the store. Next: sudo perigee up");
  co_return Result<void>();
}

async::Task<Result<void>> run_store_migrate(Session& session) {
  CO_TRY(config::StoreConfig config, store_config(session));
  CO_TRY_VOID(check_down(session));
  config::StoreConfig source = config;
  const bool to_etcd = session.options().store.to == "etcd";
  config.engine = to_etcd ? Engine::etcd : Engine::sqlite;
  source.engine = to_etcd ? Engine::sqlite : Engine::etcd;
  if (config.endpoints.empty())
    co_return fail(Code::invalid_argument, "{}: set endpoints of [store] to etcd's members",
                   session.paths().config_file);
  const std::string name = name_of(config.engine);
  CO_TRY(const OpenStore from, co_await open_existing(session, std::move(source)));
  CO_TRY(const OpenStore into,
         co_await store::open_store(session.host(), std::move(config), session.paths().store()));
  CO_TRY_VOID(co_await check_quiet(session, to_etcd ? *into : *from));
  CO_TRY_VOID(co_await store::check_loaded(*from));
  CO_TRY(const store::Listing content, co_await from->list("/"));
  CO_TRY_VOID(co_await store::load(*into, content, target_of(session)));
  report(
      session, content,
      fmt::format("are in {0}. Next: engine = \"{0}\" below [store] in {1}, then sudo perigee up",
                  name, session.paths().config_file));
  co_return Result<void>();
}

}  // namespace perigee::cli
