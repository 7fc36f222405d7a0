// BlobStore and its blocking half, BlobWriter. A store is a directory of `sha256/<hex digits>`, as
// in an OCI layout.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "image/blob_writer.h"
#include "image/image.h"
#include "image/limits.h"
#include "image/source.h"

namespace perigee::image {
namespace {

constexpr std::string_view kAlgorithm = "sha256";

std::string folder_of(std::string_view directory) {
  return fmt::format("{}/{}", directory, kAlgorithm);
}

std::string hex_of(std::string_view digest) {
  return std::string(digest.substr(kAlgorithm.size() + 1));
}

}  // namespace

// ---- blocking ----

std::string blob_path(std::string_view directory, std::string_view digest) {
  return folder_of(directory) + "/" + hex_of(digest);
}

bool has_blob(std::string_view directory, std::string_view digest) {
  struct stat info{};
  return ::stat(blob_path(directory, digest).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Result<std::string> read_blob(std::string_view directory, std::string_view digest,
                              std::size_t max) {
  TRY_AS(const sys::Fd fd, open_for_reading(blob_path(directory, digest)),
         fmt::format("blob {}", digest));
  FileSource file(fd.get(), fmt::format("blob {}", digest));
  std::string text;
  for (;;) {
    TRY(const std::string_view chunk, file.next());
    if (chunk.empty()) break;
    if (text.size() + chunk.size() > max) {
      return fail(Code::resource_exhausted, "blob {}: larger than {} KiB", digest, max / kKiB);
    }
    text += chunk;
  }
  if ("sha256:" + crypto::sha256_hex(text) == digest) return text;
  return fail(Code::data_loss, "blob {}: the stored bytes are corrupt; remove {}", digest,
              blob_path(directory, digest));
}

Result<Blob> write_blob(const std::string& directory, std::string_view data) {
  TRY(const auto writer, BlobWriter::create(directory, ""));
  TRY_VOID(writer->write(data));
  return writer->commit();
}

BlobWriter::BlobWriter(TempFile file, std::string expected)
    : file_(std::move(file)), expected_(std::move(expected)) {}

Result<std::unique_ptr<BlobWriter>> BlobWriter::create(const std::string& directory,
                                                       std::string expected) {
  TRY(TempFile file, TempFile::create(folder_of(directory), 0600));
  return std::unique_ptr<BlobWriter>(new BlobWriter(std::move(file), std::move(expected)));
}

Result<void> BlobWriter::write(std::string_view data) {
  if (data.size() > kMaxLayerBytes || size_ > kMaxLayerBytes - data.size()) {
    return fail(Code::resource_exhausted, "a blob larger than {} GiB", kMaxLayerBytes / kGiB);
  }
  hash_.update(data);
  size_ += data.size();
  return file_.write(data);
}

Result<Blob> BlobWriter::commit() {
  const std::string digest = "sha256:" + hash_.hex();
  if (!expected_.empty() && digest != expected_) {
    return fail(Code::data_loss, "blob {}: the {} bytes received hash to {}", expected_, size_,
                digest);
  }
  TRY(const bool is_new, file_.publish(hex_of(digest)));
  return Blob{.digest = digest, .size = size_, .is_new = is_new};
}

// ---- on the loop ----

namespace {

class PooledUpload : public BlobStore::Upload {
 public:
  PooledUpload(sys::Host& host, std::shared_ptr<BlobWriter> writer)
      : host_(host), writer_(std::move(writer)) {}

  async::Task<Result<void>> write(std::string data) override {
    return host_.pool.run(
        host_.loop, [writer = writer_, data = std::move(data)] { return writer->write(data); });
  }
  async::Task<Result<void>> commit() override {
    return host_.pool.run(host_.loop, [writer = writer_]() -> Result<void> {
      TRY_VOID(writer->commit());
      return {};
    });
  }

 private:
  sys::Host& host_;
  std::shared_ptr<BlobWriter> writer_;  // shared with a job that a cancelled write left behind
};

}  // namespace

BlobStore::BlobStore(sys::Host& host, std::string directory)
    : host_(host), directory_(std::move(directory)) {}

std::string BlobStore::path_of(std::string_view digest) const {
  return blob_path(directory_, digest);
}

async::Task<Result<bool>> BlobStore::has(std::string digest) {
  CO_TRY_VOID(parse_digest(digest));
  co_return co_await host_.pool.run(host_.loop, [directory = directory_, digest]() -> Result<bool> {
    return has_blob(directory, digest);
  });
}

async::Task<Result<std::string>> BlobStore::read(std::string digest, std::size_t max) {
  CO_TRY_VOID(parse_digest(digest));
  co_return co_await host_.pool.run(host_.loop, [directory = directory_, digest, max] {
    return read_blob(directory, digest, max);
  });
}

async::Task<Result<std::unique_ptr<BlobStore::Upload>>> BlobStore::begin(std::string digest) {
  CO_TRY_VOID(parse_digest(digest));
  CO_TRY(std::unique_ptr<BlobWriter> writer,
         co_await host_.pool.run(host_.loop, [directory = directory_, digest] {
           return BlobWriter::create(directory, digest);
         }));
  co_return std::make_unique<PooledUpload>(host_, std::move(writer));
}

}  // namespace perigee::image
