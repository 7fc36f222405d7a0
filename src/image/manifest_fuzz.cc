// Fuzz target: the documents of a registry: manifest or index, configuration, token, docker's
// configuration, challenge. The first line is one document, the rest another.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/text.h"
#include "image/manifest.h"
#include "image/registry_auth.h"

namespace {

using namespace perigee;
using namespace perigee::image;

void require(bool condition) {
  if (!condition) std::abort();
}

void run_manifest(std::string_view text, const Result<ParsedConfig>& config) {
  const auto document = parse_document(text);
  if (!document) return;
  if (const auto* index = std::get_if<Index>(&*document)) {
    const auto chosen = choose_platform(*index);
    if (chosen) require(parse_digest(chosen->digest).has_value());
    return;
  }
  const auto& manifest = std::get<ManifestDocument>(*document);
  // What we would write of it reads back as the same.
  const auto again = parse_document(write_manifest(manifest.config, manifest.layers));
  require(again.has_value());
  const auto& copy = std::get<ManifestDocument>(*again);
  require(copy.config.digest == manifest.config.digest &&
          copy.layers.size() == manifest.layers.size());
  if (!config) return;
  const auto image = assemble("sha256:", manifest, *config);
  if (image) require(image->manifest.layers.size() == config->diff_ids.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto halves = split_once(text, '\n').value_or(std::pair(text, text));
  run_manifest(halves.first, parse_config(halves.second));
  const auto token = parse_token(text);
  if (token) require(token->find('\n') == token->npos);
  if (find_credentials(text, "docker.io")) require(find_credentials(text, "a:1").has_value());
  if (const auto challenge = choose_challenge({std::string(halves.first)})) {
    const std::string url = token_url(*challenge, "a/b");
    require(url.starts_with(challenge->realm));
  }
  return 0;
}
