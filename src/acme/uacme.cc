#include "acme/uacme.h"

#include <array>
#include <filesystem>

#include "acme/complaint.h"
#include "acme/hook_line.h"
#include "acme/limits.h"
#include "async/combine.h"
#include "base/log.h"

namespace perigee::acme {
namespace {

constexpr unsigned kPrivate = 0700;
// Within a private folder: the program's user may come from the inside alone.
constexpr unsigned kSeen = 0755;
constexpr unsigned kOwn = 0777;
constexpr unsigned kFile = 0644;
constexpr std::size_t kNameBytes = 8;
constexpr std::string_view kWork = "/work";
constexpr std::string_view kRequest = "request.pem";
constexpr std::string_view kCertificate = "request-cert.pem";  // as uacme names it

// uacme runs `/bin/sh METHOD TYPE HOST TOKEN ANSWER` in its working directory: the shell reads the
// file of the method's name.
constexpr const char* kHookProgram = "/bin/sh";
constexpr std::array<std::string_view, 3> kHookMethods{"begin", "done", "failed"};

// However the order ends, cancelled too: nothing of it, the account's key least of all, stays.
class Removal {
 public:
  explicit Removal(std::string folder) : folder_(std::move(folder)) {}
  ~Removal() {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
    if (error) log_warning("control", "remove {}: {}", folder_, error.message());
  }
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;

 private:
  std::string folder_;
};

std::string hook_script(std::string_view method) {
  return fmt::format(
      "printf '{} {} %s %s %s %s\\n' \"$1\" \"$2\" \"$3\" \"$4\"\n"
      "read -r answer && [ \"$answer\" = yes ]\n",
      kHookWord, method);
}

}  // namespace

async::Task<Result<void>> Uacme::clear() {
  CO_TRY_VOID(co_await host_.disk.remove_tree(settings_.folder));
  co_return co_await host_.disk.make_directories(settings_.folder, kPrivate);
}

async::Task<Result<std::string>> Uacme::order(Order order, Prover& prover, Deadline deadline) {
  const Place place{
      .folder = fmt::format("{}/{}", settings_.folder, sys::random_hex(host_.entropy, kNameBytes))};
  const Removal removal(place.folder);
  co_return co_await async::with_deadline(host_.loop, deadline, carry_out(place, order, prover),
                                          "the ACME client");
}

// An account is made where there is none: an authority may forget one, or be another.
async::Task<Result<std::string>> Uacme::carry_out(const Place& place, const Order& order,
                                                  Prover& prover) {
  CO_TRY_VOID(co_await fill(place, order));
  const std::vector<std::string> issue{"issue", fmt::format("{}/{}", kWork, kRequest)};
  CO_TRY(Ended ended, co_await run(place, issue, order, prover));
  if (!ended.good && lacks_account(ended.messages)) {
    std::vector<std::string> make{"-y", "new"};
    if (!settings_.contact.empty()) make.push_back(settings_.contact);
    CO_TRY(ended, co_await run(place, std::move(make), order, prover));
    if (ended.good) {
      CO_TRY(ended, co_await run(place, issue, order, prover));
    }
  }
  if (!ended.good) co_return fail(Code::unavailable, "{}", complaint_of(ended.messages));
  co_return co_await host_.disk.read_file(fmt::format("{}/{}", place.work(), kCertificate),
                                          kMaxCertificate);
}

async::Task<Result<void>> Uacme::fill(const Place& place, const Order& order) {
  const auto cached = sys::Durability::cached;
  CO_TRY_VOID(co_await host_.disk.make_directories(place.folder, kPrivate));
  CO_TRY_VOID(co_await host_.disk.make_directories(place.root(), kPrivate));
  CO_TRY_VOID(co_await host_.disk.make_directories(place.work(), kOwn));
  CO_TRY_VOID(co_await host_.disk.make_directories(place.work() + "/private", kSeen));
  CO_TRY_VOID(co_await host_.disk.write_file(place.work() + "/private/key.pem", order.account_key,
                                             kFile, cached));
  CO_TRY_VOID(co_await host_.disk.write_file(fmt::format("{}/{}", place.work(), kRequest),
                                             order.request_pem, kFile, cached));
  for (const std::string_view method : kHookMethods) {
    CO_TRY_VOID(co_await host_.disk.write_file(fmt::format("{}/{}", place.work(), method),
                                               hook_script(method), kFile, cached));
  }
  co_return co_await fill_etc(place);
}

// How names are looked up here, and whom the authority's TLS is checked against: where libcurl has
// its roots, which uacme can't be told.
async::Task<Result<void>> Uacme::fill_etc(const Place& place) {
  const auto cached = sys::Durability::cached;
  const std::string roots = place.etc() + "/ssl/certs";
  CO_TRY_VOID(co_await host_.disk.make_directories(place.etc(), kSeen));
  CO_TRY_VOID(co_await host_.disk.make_directories(place.etc() + "/ssl", kSeen));
  CO_TRY_VOID(co_await host_.disk.make_directories(roots, kSeen));
  for (const char* name : {"resolv.conf", "hosts", "nsswitch.conf"}) {
    auto text = co_await host_.disk.read_file(fmt::format("/etc/{}", name), kMaxSystemFile);
    if (!text) continue;  // look-ups do without
    CO_TRY_VOID(co_await host_.disk.write_file(fmt::format("{}/{}", place.etc(), name),
                                               *std::move(text), kFile, cached));
  }
  CO_TRY_AS(std::string trusted, co_await host_.disk.read_file(settings_.roots_file, kMaxRoots),
            "roots to check the authority's TLS against");
  co_return co_await host_.disk.write_file(roots + "/ca-certificates.crt", std::move(trusted),
                                           kFile, cached);
}

async::Task<Result<Uacme::Ended>> Uacme::run(const Place& place, std::vector<std::string> words,
                                             const Order& order, Prover& prover) {
  sys::Spawn spawn{.argv = {settings_.program, "-a", settings_.directory_url, "-c",
                            std::string(kWork), "-h", kHookProgram, "-n", "-o", "-f"}};
  spawn.argv.insert(spawn.argv.end(), words.begin(), words.end());
  spawn.env.emplace().emplace_back("PATH", "/usr/bin:/bin");
  spawn.confinement = sys::Confinement{.uid = settings_.uid,
                                       .gid = settings_.gid,
                                       .root = place.root(),
                                       .directories = {{place.etc(), "/etc"}},
                                       .writable_directories = {{place.work(), std::string(kWork)}},
                                       .network = sys::Confinement::Network::of_host,
                                       .devices = {"/dev/null", "/dev/urandom"},
                                       .working_directory = std::string(kWork),
                                       .max_open_files = kMaxOpenFiles,
                                       .max_threads = kMaxThreads};
  CO_TRY_AS(const auto talk, host_.processes.converse(std::move(spawn)),
            "the ACME client (Debian: apt install uacme)");
  Ended ended;
  std::string unread;
  std::size_t all = 0;
  std::array<char, 4096> buffer{};
  for (;;) {
    CO_TRY(const std::size_t n, co_await talk->stream().read(buffer));
    if (n == 0) break;
    unread.append(buffer.data(), n);
    all += n;
    for (auto end = unread.find('\n'); end != std::string::npos; end = unread.find('\n')) {
      CO_TRY(const std::string word, co_await answer(unread.substr(0, end), order, prover, ended));
      if (!word.empty()) CO_TRY_VOID(co_await talk->stream().write(word));
      unread.erase(0, end + 1);
    }
    if (unread.size() > kMaxLine || all > kMaxOutput) {
      co_return fail(Code::resource_exhausted, "the ACME client says too much");
    }
  }
  ended.good = (co_await talk->wait()).success();
  co_return ended;
}

// What a line is answered; empty: it is a message. A challenge of another type is declined, so that
// the client offers its next.
async::Task<Result<std::string>> Uacme::answer(std::string line, const Order& order, Prover& prover,
                                               Ended& ended) {
  CO_TRY(const auto call, parse_hook_line(line));
  if (!call) {
    ended.messages.push_back(std::move(line));
    co_return std::string();
  }
  if (call->method != HookCall::Method::begin) co_return "yes\n";
  const auto& challenge = call->challenge;
  const bool wanted =
      challenge && challenge->type == order.challenge && challenge->host == order.host;
  if (!wanted) co_return "no\n";
  CO_TRY_VOID(co_await prover.prove(*challenge));
  co_return "yes\n";
}

}  // namespace perigee::acme
