// run_control: the role's parts over a state directory, composed.
#include "acme/uacme.h"
#include "base/text.h"
#include "config/paths.h"
#include "control/control.h"
#include "store/backup.h"
#include "store/open.h"

namespace perigee::control {
namespace {

acme::UacmeSettings settings_of(const config::AcmeConfig& config, const config::Paths& paths) {
  return {.directory_url = config.directory_url,
          .contact = config.contact,
          .roots_file = config.ca_file,
          .folder = paths.acme(),
          .uid = config.uid,
          .gid = config.gid};
}

}  // namespace

async::Task<Result<void>> run_control(sys::Host& host, config::Paths paths, ControlConfig config,
                                      ControlListeners listeners) {
  constexpr std::size_t kMaxTokenFile = 4096;
  CO_TRY_AS(const std::string token, co_await host.disk.read_file(paths.token(), kMaxTokenFile),
            "the API token (perigeed makes it at its first start)");
  if (trim(token).empty()) co_return fail(Code::data_loss, "{}: empty", paths.token());
  CO_TRY(const auto store, co_await store::open_store(host, config.store, paths.store()));
  CO_TRY_VOID(co_await store::check_loaded(*store));
  CO_TRY(const auto keys, co_await secrets::KeyFile::open(host, paths.key_ring()));
  CO_TRY(const auto certificates,
         co_await Certificates::open(host, *keys, paths.ca_certificate(), paths.ca_key()));
  StoredImages images(host, paths.blobs());
  WorkerLink worker(
      host, {.own = config.node, .worker = paths.socket("worker"), .link = paths.socket("link")});
  RouterLink routers(
      host, {.own = config.node, .router = paths.socket("router"), .link = paths.socket("link")});
  std::unique_ptr<acme::Uacme> authority;
  if (!config.acme.directory_url.empty()) {
    authority = std::make_unique<acme::Uacme>(host, settings_of(config.acme, paths));
    CO_TRY_VOID(co_await authority->clear());
  }
  Control control(host, std::move(config),
                  {*store, images, worker, routers, *certificates, *keys, authority.get()});
  CO_TRY_VOID(co_await control.load(std::string(trim(token))));
  co_await control.run(std::move(listeners.api), std::move(listeners.internal));
  co_return Result<void>();
}

}  // namespace perigee::control
