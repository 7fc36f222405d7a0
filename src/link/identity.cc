#include "link/identity.h"

#include <filesystem>

namespace perigee::link {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::uint64_t kMaxFile = std::uint64_t{16} * 1024 * 1024;

secrets::Place place_of(const NodeId& node, std::string_view purpose) {
  return {secrets::Kind::node_key, fmt::format("{}/{}", node, purpose)};
}

Result<Identity> identity_from(std::string_view text, const secrets::KeyRing& ring) {
  TRY(const json::Value value, json::parse(text));
  TRY(const std::int64_t version, value.require_int("version"));
  if (version != kVersion) return fail(Code::unsupported, "identity of version {}", version);
  const json::Value* admission = value.find("admission");
  if (admission == nullptr) return fail(Code::data_loss, "admission: missing");
  Identity identity;
  TRY_AS(identity.admission, model::admission_from(*admission), "admission");
  const NodeId& node = identity.admission.node.node;
  TRY(const std::string key, value.require_string("private_key"));
  TRY(identity.private_key_pem, ring.open(place_of(node, "tls"), key));
  return identity;
}

}  // namespace

async::Task<Result<std::optional<Identity>>> IdentityFile::load() const {
  CO_TRY(const bool there, co_await host_.disk.exists(path_));
  if (!there) co_return std::optional<Identity>();
  CO_TRY(const std::string text, co_await host_.disk.read_file(path_, kMaxFile));
  CO_TRY_AS(Identity identity, identity_from(text, ring_.ring()), path_);
  co_return std::optional<Identity>(std::move(identity));
}

async::Task<Result<void>> IdentityFile::save(Identity identity) const {
  const NodeId& node = identity.admission.node.node;
  identity.admission.key_ring.clear();
  identity.admission.control.reset();
  CO_TRY(const std::string key,
         ring_.ring().seal(place_of(node, "tls"), identity.private_key_pem, host_.entropy));
  const json::Value value = json::object({{"version", kVersion},
                                          {"admission", model::to_json(identity.admission)},
                                          {"private_key", key}});
  CO_TRY_VOID(co_await host_.disk.make_directories(
      std::filesystem::path(path_).parent_path().string(), 0700));
  co_return co_await host_.disk.write_file(path_, value.dump_pretty() + "\n", 0600,
                                           sys::Durability::synced);
}

}  // namespace perigee::link
