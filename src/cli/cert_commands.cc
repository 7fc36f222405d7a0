// certs …: an app's own hosts and their certificates. A key goes to the API and nowhere else.
#include "base/text.h"
#include "cli/commands.h"
#include "cli/name_lookup.h"
#include "sys/core_dumps.h"

namespace perigee::cli {
namespace {

constexpr Duration kPoll = 1s;
constexpr Duration kPatience = 3min;  // for an authority; the order goes on without us
constexpr std::size_t kMaxPemFile = 64 * 1024;

const json::Array& list_in(const json::Value& value, std::string_view key) {
  static const json::Array kNone;
  const json::Value* found = value.find(key);
  return found == nullptr ? kNone : found->items();
}

// "ecdsa (acme), rsa (uploaded)"
std::string kinds_of(const json::Value& host) {
  std::vector<std::string> out;
  for (const json::Value& each : list_in(host, "certificates")) {
    out.push_back(fmt::format("{} ({})", text_of(each, "type"), text_of(each, "source")));
  }
  return join(out, ", ");
}

void print_hosts(const json::Value& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& host : list_in(answer, "certificates")) {
    rows.push_back({text_of(host, "hostname"), text_of(host, "state"), text_of(host, "expires_at"),
                    kinds_of(host), text_of(host, "last_error")});
  }
  if (rows.empty()) {
    return print("No hosts beside the app's own. Add one with `perigee certs add HOST`.");
  }
  print_table({"HOST", "STATE", "EXPIRES", "CERTIFICATES", "LAST ERROR"}, rows);
}

// "CNAME www.example.com → shop.example.net"
std::string records_of(const json::Value& host) {
  std::vector<std::string> out;
  for (const json::Value& each : list_in(host, "dns_records")) {
    out.push_back(fmt::format("{} {} → {}", text_of(each, "type"), text_of(each, "name"),
                              text_of(each, "value")));
  }
  return join(out, ", ");
}

void print_host(const json::Value& host) {
  print(fmt::format("Host         {} (app {})", text_of(host, "hostname"), text_of(host, "app")));
  print(fmt::format("State        {}", text_of(host, "state")));
  for (const json::Value& each : list_in(host, "certificates")) {
    print(fmt::format("Certificate  {}, {}, by {}, until {}", text_of(each, "type"),
                      text_of(each, "source"), text_of(each, "issuer"),
                      text_of(each, "expires_at")));
  }
  print(fmt::format("DNS          {}", records_of(host)));
  const std::string error = text_of(host, "last_error");
  if (!error.empty()) print(fmt::format("Last error   {}", error));
  const std::string next = text_of(host, "next_order_at");
  if (!next.empty()) print(fmt::format("Next order   {}", next));
}

void show(Session& session, const json::Value& host) {
  if (session.options().json) {
    print_json(host);
  } else {
    print_host(host);
  }
}

bool is_settled(const json::Value& host) {
  return text_of(host, "state") != "pending";
}

// Until the first order has ended.
async::Task<Result<json::Value>> await_order(Session& session, client::Client& api, AppName app,
                                             json::Value host) {
  async::Loop& loop = session.host().loop;
  const MonotonicTime end = loop.now() + kPatience;
  while (!is_settled(host) && loop.now() < end) {
    co_await loop.sleep(kPoll);
    CO_TRY(host, co_await api.certificate(app.str(), text_of(host, "hostname")));
  }
  co_return host;
}

Error not_issued(const json::Value& host) {
  const std::string error = text_of(host, "last_error");
  return Error::make(
      error.empty() ? Code::deadline_exceeded : Code::unavailable,
      fmt::format("{}: {}\nnext step: have DNS say {}, then `perigee certs check {}`; it is tried "
                  "again by itself, too",
                  text_of(host, "hostname"), error.empty() ? "no certificate yet" : error,
                  records_of(host), text_of(host, "hostname")));
}

// Whether users are sent here, as far as can be seen from where the command runs.
async::Task<void> print_dns(Session& session, json::Value host) {
  const std::string name = text_of(host, "hostname");
  if (name.starts_with('*')) co_return;
  const std::vector<std::string> found = co_await look_up(session.host(), name);
  for (const json::Value& record : list_in(host, "dns_records")) {
    const std::string value = text_of(record, "value");
    const bool alias = text_of(record, "type") == "CNAME";
    const std::vector<std::string> wanted =
        alias ? co_await look_up(session.host(), value) : std::vector{value};
    const bool there = !found.empty() && found == wanted;
    if (there) co_return print(fmt::format("DNS is right: {}", join(found, ", ")));
  }
  print(fmt::format("DNS here says {}; it should have {}",
                    found.empty() ? "nothing" : join(found, ", "), records_of(host)));
}

}  // namespace

async::Task<Result<void>> run_certs_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value answer, co_await api->certificates(app.str()));
  if (session.options().json) {
    print_json(answer);
  } else {
    print_hosts(answer);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_certs_show(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value host,
         co_await api->certificate(app.str(), session.options().certificate.host));
  show(session, host);
  co_return Result<void>();
}

async::Task<Result<void>> run_certs_add(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(json::Value host, co_await api->add_certificate(app.str(), options.certificate.host));
  if (options.detach || options.json) {
    show(session, host);
    co_return Result<void>();
  }
  print(fmt::format("{} is app {}'s. DNS must say {}", text_of(host, "hostname"), app,
                    records_of(host)));
  Step step(session, "Getting a certificate");
  CO_TRY(host, co_await await_order(session, *api, app, std::move(host)));
  const std::string state = text_of(host, "state");
  if (state != "ready") co_return fail(not_issued(host));
  step.done(fmt::format("good until {}", text_of(host, "expires_at")));
  co_return Result<void>();
}

async::Task<Result<void>> run_certs_import(Session& session) {
  CO_TRY_VOID(sys::forbid_core_dumps());
  const CertificateOptions& options = session.options().certificate;
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  sys::Disk& disk = session.host().disk;
  CO_TRY_AS(std::string chain, co_await disk.read_file(options.fullchain_file, kMaxPemFile),
            "--fullchain");
  CO_TRY_AS(std::string key, co_await disk.read_file(options.private_key_file, kMaxPemFile),
            "--private-key");
  json::Value body = json::object({{"hostname", options.host},
                                   {"fullchain", std::move(chain)},
                                   {"private_key", std::move(key)}});
  CO_TRY(const json::Value host, co_await api->import_certificate(app.str(), std::move(body)));
  show(session, host);
  co_return Result<void>();
}

async::Task<Result<void>> run_certs_check(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value host,
         co_await api->check_certificate(app.str(), session.options().certificate.host));
  show(session, host);
  if (!session.options().json) co_await print_dns(session, host);
  co_return Result<void>();
}

async::Task<Result<void>> run_certs_remove(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY_VOID(co_await api->remove_certificate(app.str(), options.certificate.host));
  if (options.json) {
    print_json(json::object({{"removed", options.certificate.host}}));
  } else {
    print(fmt::format("{} is no host of app {} any more; its certificates are gone.",
                      options.certificate.host, app));
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
