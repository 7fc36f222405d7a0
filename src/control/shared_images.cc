#include "control/shared_images.h"

#include "async/combine.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

// Another control's answer, which may not be silent for long.
class PeerBlob : public http::Body {
 public:
  PeerBlob(async::Loop& loop, std::unique_ptr<http::Response> response)
      : loop_(loop), response_(std::move(response)) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    co_return co_await async::with_deadline(loop_, loop_.deadline_in(kBlobSilence),
                                            response_->body().read(into), "read the blob");
  }
  std::optional<std::uint64_t> length() const override { return response_->body().length(); }

 private:
  async::Loop& loop_;
  std::unique_ptr<http::Response> response_;
};

}  // namespace

async::Task<Result<model::ImageRef>> SharedImages::resolve(std::string image, image::Login login) {
  const bool uploaded = image.starts_with("sha256:");
  while (uploaded) {  // the manifest says what else there is
    CO_TRY(const std::vector<std::string> missing, co_await own_.missing_blobs(image));
    if (missing.empty()) break;
    for (const std::string& digest : missing) {
      CO_TRY_AS(const auto body, co_await find(digest), "uploaded image");
      CO_TRY_VOID_AS(co_await own_.put_blob(digest, *body), "uploaded image");
    }
  }
  co_return co_await own_.resolve(std::move(image), std::move(login));
}

async::Task<Result<bool>> SharedImages::has_blob(std::string digest) {
  co_return co_await own_.has_blob(std::move(digest));
}

async::Task<Result<std::vector<std::string>>> SharedImages::missing_blobs(std::string digest) {
  co_return co_await own_.missing_blobs(std::move(digest));
}

async::Task<Result<void>> SharedImages::put_blob(std::string digest, http::Body& body) {
  co_return co_await own_.put_blob(std::move(digest), body);
}

async::Task<Result<std::unique_ptr<http::Body>>> SharedImages::open_blob(std::string digest) {
  CO_TRY(const bool here, co_await own_.has_blob(digest));
  if (here) co_return co_await own_.open_blob(std::move(digest));
  co_return co_await find(std::move(digest));
}

async::Task<Result<std::unique_ptr<http::Body>>> SharedImages::find(std::string digest) {
  for (const NodeId& control : peers_.others()) {
    http::RequestHead head{.method = "GET", .target = "/internal/v1/own-blobs/" + digest};
    auto response = co_await peers_.ask(control, std::move(head), {});
    if (!response || (*response)->head.status != 200) continue;
    co_return std::make_unique<PeerBlob>(peers_.loop(), *std::move(response));
  }
  co_return fail(Code::not_found, "blob {} is at no control that answers", digest);
}

}  // namespace perigee::control
