// Fuzz target: any bytes as one or two layers, through inflation, tar reader, tree and writer; what
// comes out without an error must be a sound image. The first byte chooses the role, the size of
// the chunks, whether the rest is one layer or two, and whether headers get right checksums (or a
// mutation of them would get no further).
#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "image/erofs_reader.h"
#include "image/erofs_writer.h"
#include "image/layer.h"
#include "image/source.h"
#include "image/tar_builder.h"
#include "sys/fd.h"

namespace {

using namespace perigee;
using namespace perigee::image;

constexpr std::uint64_t kMaxBytes = 8ULL << 20;

Result<Applied> apply(std::string_view layer, std::size_t step, LayerRole role, unsigned number,
                      Tree& tree, ErofsWriter& writer) {
  MemorySource bytes(layer, step);
  TRY(const auto plain, decompressed(bytes));
  HashedSource hashed(*plain, kMaxBytes, nullptr);
  return apply_layer(hashed, role, number, tree, writer);
}

std::string sealed(std::string_view layers) {
  std::string out(layers);
  for (std::size_t at = 0; at + 512 <= out.size(); at += 512) {
    if (std::string_view(out).substr(at + 257, 5) != "ustar") continue;
    std::array<char, 512> block;
    std::memcpy(block.data(), out.data() + at, block.size());
    TarBuilder::seal(block);
    std::memcpy(out.data() + at, block.data(), block.size());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string resealed = (data[0] & 128) != 0 ? sealed(bytes) : std::string();
  const std::string_view rest = resealed.empty() ? bytes : std::string_view(resealed);
  const LayerRole role = (data[0] & 1) != 0 ? LayerRole::overlay : LayerRole::bottom;
  const bool two = role == LayerRole::bottom && (data[0] & 2) != 0;
  const std::size_t pace = (data[0] >> 2) & 31;
  const std::size_t step = pace != 0 ? pace * 37 : rest.size() + 1;
  const std::size_t half = two ? rest.size() / 1024 * 512 : rest.size();
  const sys::Fd file(::memfd_create("layer", MFD_CLOEXEC));
  Tree tree;
  ErofsWriter writer(file.get());
  const auto first = apply(rest.substr(0, half), step, role, 0, tree, writer);
  if (!first || *first == Applied::needs_lower) return 0;
  if (two && !apply(rest.substr(half), step, role, 1, tree, writer)) return 0;
  if (!writer.finish(tree, Uuid{})) return 0;
  const std::string problem = ErofsReader(file.get()).problem();
  if (!problem.empty()) {
    std::fprintf(stderr, "the image is broken: %s\n", problem.c_str());
    std::abort();
  }
  return 0;
}
