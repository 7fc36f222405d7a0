// The options of `perigee store`.
#include <CLI/CLI.hpp>

#include "cli/option_parts.h"

namespace perigee::cli {
namespace {

constexpr const char* kAbout =
    R"(The state of this fleet: apps, releases, machines, volumes, certificates, secrets (sealed).

These commands open the store itself, as [store] of perigeed.toml says: a file of this node (SQLite)
or etcd. Run them as root on a node that runs control. They don't ask the API, so they work while
nothing runs; restore and migrate want control down, on every node that has one:

  sudo perigee down --keep-machines     machines and what they serve go on

Not in the store, and to be kept with a backup: the keys that secrets are sealed with
(/etc/perigee/keys.json), the local certificate authority (/var/lib/perigee/ca.pem, ca.key), and the
content of volumes.)";

constexpr const char* kBackup =
    R"(Write the whole store into a file, at any time, also while control runs.

What is in the file was all there at one moment. It is written beside FILE, synced to the disk and
then renamed, readable by its owner alone, with a checksum.)";

constexpr const char* kRestore =
    R"(Make the store what it was when FILE was written, whichever engine that came from.

Refuses a store that has anything in it, unless --force: then what is not in FILE is removed. A
restore that was interrupted leaves a mark with which control refuses to start; run it again, and it
goes on. At the end the store is read back and compared.)";

constexpr const char* kMigrate =
    R"(Copy the store to the other engine: from the SQLite file into etcd, or back.

etcd's endpoints and the rest of it are those of [store] in perigeed.toml, whatever engine is set
there. Refuses a target that has anything in it, unless --force. Interrupted, it goes on when it is
run again; at the end the target is read back and compared, and the source is as it was. Then set
engine in perigeed.toml, on every node that runs control, and start them.)";

}  // namespace

void add_store_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* store = app.add_subcommand("store", "Back up, restore and move this fleet's state");
  store->description(kAbout);
  store->require_subcommand(1);
  CLI::App* backup = command(*store, verbs, Verb::store_backup, "backup", kBackup,
                             "  sudo perigee store backup /root/perigee-$(date +%F).backup");
  backup->add_option("FILE", o.store.file, "Where to")->required();
  CLI::App* restore = command(*store, verbs, Verb::store_restore, "restore", kRestore,
                              "  sudo perigee down --keep-machines\n"
                              "  sudo perigee store restore /root/perigee-2026-11-26.backup\n"
                              "  sudo perigee up");
  restore->add_option("FILE", o.store.file, "What `perigee store backup` wrote")->required();
  restore->add_flag("--force", o.store.force, "Replace what the store has");
  CLI::App* migrate = command(*store, verbs, Verb::store_migrate, "migrate", kMigrate,
                              "  sudo perigee down --keep-machines\n"
                              "  sudo perigee store migrate --to etcd\n"
                              "  (engine = \"etcd\" in perigeed.toml)\n"
                              "  sudo perigee up");
  migrate->add_option("--to", o.store.to, "The engine to copy to")
      ->required()
      ->check(CLI::IsMember({"etcd", "sqlite"}));
  migrate->add_flag("--force", o.store.force, "Replace what the target has");
}

}  // namespace perigee::cli
