// Inflation of gzip and zstd streams; the only file that sees libarchive. Only its filters are used
// (format "raw"): tar is read by tar.cc, because libarchive converts names between character sets
// and normalises them, and a file's name in an image may be any bytes.
#include <archive.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "image/source.h"

namespace perigee::image {
namespace {

// Gives back one chunk that was looked at, then the rest.
class Rewound : public ByteSource {
 public:
  Rewound(std::string first, ByteSource& rest) : first_(std::move(first)), rest_(rest) {}
  Result<std::string_view> next() override {
    if (std::exchange(given_, true)) return rest_.next();
    return std::string_view(first_);
  }

 private:
  std::string first_;
  ByteSource& rest_;
  bool given_ = false;
};

class Inflated : public ByteSource {
 public:
  explicit Inflated(std::unique_ptr<ByteSource> from) : from_(std::move(from)) {}

  Result<void> open(Compression compression) {
    archive_.reset(archive_read_new());
    if (!archive_) return fail(Code::resource_exhausted, "out of memory");
    archive* a = archive_.get();
    if (compression == Compression::gzip) archive_read_support_filter_gzip(a);
    if (compression == Compression::zstd) archive_read_support_filter_zstd(a);
    archive_read_support_format_raw(a);
    archive_read_support_format_empty(a);
    archive_read_set_callback_data(a, this);
    archive_read_set_read_callback(a, &Inflated::read);
    if (archive_read_open1(a) != ARCHIVE_OK) return broken();
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(a, &entry);
    if (status == ARCHIVE_EOF) at_end_ = true;
    return status == ARCHIVE_OK || status == ARCHIVE_EOF ? Result<void>() : broken();
  }

  Result<std::string_view> next() override {
    while (!at_end_) {
      const void* block = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int status = archive_read_data_block(archive_.get(), &block, &size, &offset);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK) return broken();
      if (size > 0) return std::string_view(static_cast<const char*>(block), size);
    }
    at_end_ = true;
    return std::string_view();
  }

 private:
  static la_ssize_t read(archive* a, void* self_pointer, const void** out) {
    auto& self = *static_cast<Inflated*>(self_pointer);
    auto chunk = self.from_->next();
    if (!chunk) {
      self.error_ = std::move(chunk).error();
      archive_set_error(a, -1, "read failed");
      return ARCHIVE_FATAL;
    }
    *out = chunk->data();
    return static_cast<la_ssize_t>(chunk->size());
  }

  std::unexpected<Error> broken() {
    if (error_) return fail(*std::exchange(error_, std::nullopt));
    const char* words = archive_error_string(archive_.get());
    return fail(Code::data_loss, "the compressed data is corrupt or truncated ({})",
                words != nullptr ? words : "no detail");
  }

  struct Free {
    void operator()(archive* a) const { archive_read_free(a); }
  };
  std::unique_ptr<ByteSource> from_;
  std::unique_ptr<archive, Free> archive_;
  std::optional<Error> error_;
  bool at_end_ = false;
};

// The magic is 4 bytes at most: collects that many however small the chunks are.
Result<std::string> first_bytes(ByteSource& from) {
  std::string first;
  while (first.size() < 4) {
    TRY(const std::string_view chunk, from.next());
    if (chunk.empty()) break;
    first += chunk;
  }
  return first;
}

}  // namespace

Result<std::unique_ptr<ByteSource>> decompressed(ByteSource& from) {
  TRY(std::string first, first_bytes(from));
  const Compression compression = detect_compression(first);
  auto rewound = std::make_unique<Rewound>(std::move(first), from);
  if (compression == Compression::none) return rewound;
  auto inflated = std::make_unique<Inflated>(std::move(rewound));
  TRY_VOID(inflated->open(compression));
  return inflated;
}

}  // namespace perigee::image
