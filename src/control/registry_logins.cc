#include "control/registry_logins.h"

namespace perigee::control {
namespace {

Result<image::Login> login_for(const Context& context, const std::string& image) {
  if (image.starts_with("sha256:")) return image::Login{};  // uploaded
  TRY(const image::Reference reference, image::parse_reference(image));
  const auto found = context.desired.registries().find(reference.registry);
  if (found == context.desired.registries().end()) return image::Login{};
  const model::RegistryLogin& stored = found->second.value;
  image::Login login{.username = stored.username, .password = {}};
  TRY_AS(login.password,
         context.keys.ring().open(place_of_registry(stored.registry), stored.sealed_password),
         "the log-in at " + stored.registry);
  return login;
}

}  // namespace

secrets::Place place_of_registry(std::string_view registry) {
  return {secrets::Kind::registry_password, std::string(registry)};
}

// Whatever a reference that begins with it takes for its registry.
Result<std::string> parse_registry(const std::string& text) {
  const auto reference = image::parse_reference(text + "/any");
  const bool is_hub = text == "docker.io" || text == "index.docker.io";
  const bool named = reference && (reference->registry == text || is_hub);
  if (named && text.find('/') == text.npos) return reference->registry;
  return fail(Code::invalid_argument,
              "registry \"{}\": expected a host with an optional port, such as ghcr.io or "
              "127.0.0.1:5000",
              text);
}

async::Task<Result<model::ImageRef>> resolve_image(const Context& context, std::string image) {
  CO_TRY(image::Login login, login_for(context, image));
  co_return co_await context.images.resolve(std::move(image), std::move(login));
}

}  // namespace perigee::control
