#include "store/sqlite_database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "store/rules.h"

namespace perigee::store {
namespace {

constexpr int kSchemaVersion = 1;
constexpr int kBusyTimeoutMs = 5000;

constexpr const char* kPragmas =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA foreign_keys=ON;";

constexpr const char* kSchema =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS entries(key TEXT PRIMARY KEY, value TEXT NOT NULL,"
    "  revision INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS history(revision INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    "  key TEXT NOT NULL, value TEXT, PRIMARY KEY(revision, ordinal)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO meta VALUES('revision', 0), ('compacted', 0);"
    "PRAGMA user_version=1;"
    "COMMIT;";

Code code_of(int status) {
  switch (status & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return Code::resource_exhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::data_loss;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return Code::permission_denied;
    default:
      return Code::internal;
  }
}

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

}  // namespace

struct SqliteDatabase::Connection {
  std::string path;
  std::unique_ptr<sqlite3, CloseDatabase> db;

  std::unexpected<Error> failure(int status) const {
    return fail(code_of(status), "store {}: {}", path,
                db ? sqlite3_errmsg(db.get()) : sqlite3_errstr(status));
  }
  Result<void> run(const char* sql) const {
    const int status = sqlite3_exec(db.get(), sql, nullptr, nullptr, nullptr);
    if (status != SQLITE_OK) return failure(status);
    return {};
  }
};

namespace {

// One prepared statement: bind in order, then step through the rows.
class Statement {
 public:
  template <typename Connection>
  static Result<Statement> prepare(const Connection& connection, std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    const int status = sqlite3_prepare_v2(connection.db.get(), sql.data(),
                                          static_cast<int>(sql.size()), &raw, nullptr);
    if (status != SQLITE_OK) return connection.failure(status);
    return Statement(raw);
  }
  Statement& bind(std::string_view text) {
    sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
    return *this;
  }
  Statement& bind(std::int64_t value) {
    sqlite3_bind_int64(statement_.get(), ++bound_, value);
    return *this;
  }
  Statement& bind(const std::optional<std::string>& text) {
    if (text) return bind(std::string_view(*text));
    sqlite3_bind_null(statement_.get(), ++bound_);
    return *this;
  }
  // True: a row is there. False: the end.
  template <typename Connection>
  Result<bool> step(const Connection& connection) {
    const int status = sqlite3_step(statement_.get());
    if (status == SQLITE_ROW) return true;
    if (status == SQLITE_DONE) return false;
    return connection.failure(status);
  }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string text(int column) const {
    const unsigned char* data = sqlite3_column_text(statement_.get(), column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
    return {reinterpret_cast<const char*>(data), data == nullptr ? 0 : size};
  }
  std::optional<std::string> optional_text(int column) const {
    if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
    return text(column);
  }

 private:
  explicit Statement(sqlite3_stmt* raw) : statement_(raw) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

// The file is made by us, so that nobody else can ever read the keys in it.
Result<void> create_private(const std::string& path) {
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return fail(errno_error(errno, "create " + path));
  ::close(fd);
  return {};
}

template <typename Connection>
Result<void> prepare_schema(const Connection& connection) {
  TRY(Statement version, Statement::prepare(connection, "PRAGMA user_version"));
  TRY([[maybe_unused]] const bool row, version.step(connection));
  const std::int64_t found = version.integer(0);
  if (found > kSchemaVersion)
    return fail(Code::unsupported,
                "store {}: made by a newer version (format {}, this one reads {}); "
                "install that version again, or move the file away to start empty",
                connection.path, found, kSchemaVersion);
  if (found == kSchemaVersion) return {};
  return connection.run(kSchema);
}

}  // namespace

SqliteDatabase::SqliteDatabase(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
SqliteDatabase::~SqliteDatabase() = default;

Result<std::unique_ptr<SqliteDatabase>> SqliteDatabase::open(std::string path, Access access) {
  if (access == Access::create) TRY_VOID(create_private(path));
  auto connection = std::make_unique<Connection>();
  connection->path = std::move(path);
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX;
  const int status = sqlite3_open_v2(connection->path.c_str(), &raw, flags, nullptr);
  connection->db.reset(raw);
  if (status != SQLITE_OK) return connection->failure(status);
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  TRY_VOID(connection->run(kPragmas));
  if (access == Access::create) TRY_VOID(prepare_schema(*connection));
  return std::unique_ptr<SqliteDatabase>(new SqliteDatabase(std::move(connection)));
}

Result<std::optional<Entry>> SqliteDatabase::get(const std::string& key) {
  TRY(Statement select,
      Statement::prepare(*connection_, "SELECT value, revision FROM entries WHERE key = ?"));
  TRY(const bool found, select.bind(std::string_view(key)).step(*connection_));
  if (!found) return std::optional<Entry>();
  return std::optional<Entry>({key, select.text(0), select.integer(1)});
}

Result<Listing> SqliteDatabase::list(const std::string& prefix) {
  TRY_VOID(connection_->run("BEGIN"));
  auto read = [&]() -> Result<Listing> {
    Listing listing;
    TRY(listing.revision, meta("revision"));
    TRY(Statement select,
        Statement::prepare(*connection_,
                           "SELECT key, value, revision FROM entries WHERE key >= ?1 "
                           "AND (?2 IS NULL OR key < ?2) ORDER BY key"));
    select.bind(std::string_view(prefix)).bind(end_of_prefix(prefix));
    for (;;) {
      TRY(const bool row, select.step(*connection_));
      if (!row) return listing;
      listing.entries.push_back({select.text(0), select.text(1), select.integer(2)});
    }
  };
  Result<Listing> listing = read();
  TRY_VOID(connection_->run("COMMIT"));
  return listing;
}

std::vector<Result<Revision>> SqliteDatabase::commit(const std::vector<Transaction>& batch,
                                                     const StoreLimits& limits) {
  auto done = commit_all(batch, limits);
  if (done) return *std::move(done);
  // Leave no transaction open; the connection may be past one already.
  if (sqlite3_get_autocommit(connection_->db.get()) == 0) {
    [[maybe_unused]] const auto rolled_back = connection_->run("ROLLBACK");
  }
  return std::vector<Result<Revision>>(batch.size(), fail(done.error()));
}

Result<std::vector<Result<Revision>>> SqliteDatabase::commit_all(
    const std::vector<Transaction>& batch, const StoreLimits& limits) {
  std::vector<Result<Revision>> results;
  TRY_VOID(connection_->run("BEGIN IMMEDIATE"));
  TRY(const Revision before, meta("revision"));
  Revision revision = before;
  for (const Transaction& transaction : batch) {
    Result<void> expected = check_expectations(transaction);
    if (!expected && expected.error().code != Code::conflict)
      return fail(std::move(expected).error());
    if (!expected) {
      results.emplace_back(fail(std::move(expected).error()));
      continue;
    }
    if (!transaction.changes.empty()) TRY_VOID(apply(transaction, ++revision));
    results.emplace_back(revision);
  }
  if (revision != before) TRY_VOID(compact(revision, limits));
  TRY_VOID(connection_->run("COMMIT"));
  return results;
}

Result<void> SqliteDatabase::check_expectations(const Transaction& transaction) {
  for (const auto& expect : transaction.expects) {
    TRY(Statement select,
        Statement::prepare(*connection_, "SELECT revision FROM entries WHERE key = ?"));
    TRY(const bool found, select.bind(std::string_view(expect.key)).step(*connection_));
    const Revision actual = found ? select.integer(0) : 0;
    if (actual != expect.revision) return fail(conflict(expect.key, expect.revision, actual));
  }
  return {};
}

Result<void> SqliteDatabase::apply(const Transaction& transaction, Revision revision) {
  std::int64_t ordinal = 0;
  for (const auto& change : transaction.changes) {
    const std::string_view sql = change.value ? "INSERT INTO entries VALUES(?1, ?2, ?3) "
                                                "ON CONFLICT(key) DO UPDATE SET value=?2, "
                                                "revision=?3"
                                              : "DELETE FROM entries WHERE key = ?1";
    TRY(Statement write, Statement::prepare(*connection_, sql));
    write.bind(std::string_view(change.key));
    if (change.value) write.bind(change.value).bind(revision);
    TRY([[maybe_unused]] const bool row, write.step(*connection_));
    TRY(Statement record,
        Statement::prepare(*connection_, "INSERT INTO history VALUES(?, ?, ?, ?)"));
    record.bind(revision).bind(ordinal++).bind(std::string_view(change.key)).bind(change.value);
    TRY([[maybe_unused]] const bool recorded, record.step(*connection_));
  }
  return {};
}

Result<void> SqliteDatabase::compact(Revision revision, const StoreLimits& limits) {
  TRY(const std::int64_t already, meta("compacted"));
  const Revision floor = std::max(already, revision - limits.history_revisions);
  TRY(Statement drop, Statement::prepare(*connection_, "DELETE FROM history WHERE revision <= ?"));
  TRY([[maybe_unused]] const bool dropped, drop.bind(floor).step(*connection_));
  TRY(Statement update, Statement::prepare(*connection_,
                                           "INSERT OR REPLACE INTO meta "
                                           "VALUES('revision', ?), ('compacted', ?)"));
  TRY([[maybe_unused]] const bool updated, update.bind(revision).bind(floor).step(*connection_));
  return {};
}

Result<HistoryPage> SqliteDatabase::history(const std::string& prefix, Revision after) {
  TRY_VOID(connection_->run("BEGIN"));
  auto read = [&]() -> Result<HistoryPage> {
    TRY(const Revision floor, meta("compacted"));
    if (after < floor) return fail(compacted(after, floor));
    TRY(const Revision newest, meta("revision"));
    TRY(Statement select,
        Statement::prepare(*connection_,
                           "SELECT revision, key, value FROM history WHERE revision > ?1 "
                           "AND key >= ?2 AND (?3 IS NULL OR key < ?3) "
                           "ORDER BY revision, ordinal"));
    select.bind(after).bind(std::string_view(prefix)).bind(end_of_prefix(prefix));
    HistoryPage page{.changes = {}, .upto = std::max(after, newest)};
    for (;;) {
      TRY(const bool row, select.step(*connection_));
      if (!row) return page;
      const Revision revision = select.integer(0);
      if (page.changes.size() >= kWatchChanges && revision != page.changes.back().revision) {
        page.upto = page.changes.back().revision;
        return page;
      }
      page.changes.push_back({revision, select.text(1), select.optional_text(2)});
    }
  };
  Result<HistoryPage> page = read();
  TRY_VOID(connection_->run("COMMIT"));
  return page;
}

Result<std::int64_t> SqliteDatabase::meta(const char* name) {
  TRY(Statement select, Statement::prepare(*connection_, "SELECT value FROM meta WHERE name = ?"));
  TRY(const bool found, select.bind(std::string_view(name)).step(*connection_));
  if (!found) return fail(Code::data_loss, "store {}: no {} in meta", connection_->path, name);
  return select.integer(0);
}

Result<Revision> SqliteDatabase::revision() {
  return meta("revision");
}

}  // namespace perigee::store
