// For tests: a registry on loopback that answers what a test wants, well or badly. One request per
// connection.
#pragma once

#include <fmt/format.h>

#include <array>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "base/text.h"
#include "image/test_image.h"
#include "sys/host.h"

namespace perigee::image {

struct FakeRequest {
  std::string path;
  std::string authorization;
};

inline std::string http_reply(int status, std::string_view body, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}", status,
                     body.size(), headers, body);
}

class FakeRegistry {
 public:
  // An empty answer: none comes, and the connection stays open.
  using Handler = std::function<std::string(const FakeRequest&)>;

  FakeRegistry(sys::Host& host, Handler handler)
      : handler_(std::move(handler)),
        listener_(*host.network.listen(*sys::Address::parse("127.0.0.1:0"))),
        group_(host.loop) {
    group_.spawn(accept_all(*this));
  }
  std::string name() const { return listener_->local().str(); }
  std::vector<FakeRequest> seen;

 private:
  static async::Task<void> accept_all(FakeRegistry& self) {
    for (;;) {
      auto stream = co_await self.listener_->accept();
      if (!stream) co_return;
      self.group_.spawn(serve(self, std::move(*stream)));
    }
  }
  static async::Task<void> serve(FakeRegistry& self, std::unique_ptr<sys::Stream> stream) {
    std::string head;
    while (head.find("\r\n\r\n") == head.npos) {
      std::array<char, 4096> buffer;
      const auto n = co_await stream->read(buffer);
      if (!n || *n == 0) co_return;
      head.append(buffer.data(), *n);
    }
    FakeRequest request{.path = std::string(split(head, ' ')[1]), .authorization = {}};
    for (const std::string_view line : split(head, '\n')) {
      const auto parts = split_once(line, ':');
      if (parts && iequals(parts->first, "authorization")) {
        request.authorization = std::string(trim(parts->second));
      }
    }
    self.seen.push_back(request);
    const std::string reply = self.handler_(request);
    if (!reply.empty()) {
      std::ignore = co_await stream->write(reply);
      co_return;
    }
    std::array<char, 16> buffer;
    std::ignore = co_await stream->read(buffer);  // until the client gives up
  }

  Handler handler_;
  std::unique_ptr<sys::Listener> listener_;
  async::TaskGroup group_;
};

// Serves an image as app:latest, and its blobs.
inline FakeRegistry::Handler serve_image(const TestImage& image) {
  std::map<std::string, std::string> documents;
  documents["/v2/app/manifests/latest"] = image.manifest;
  documents["/v2/app/manifests/" + image.manifest_digest] = image.manifest;
  documents["/v2/app/blobs/" + image.config_digest] = image.config;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    documents["/v2/app/blobs/" + image.diff_ids[i]] = image.layers[i];
  }
  return [documents](const FakeRequest& request) {
    const auto found = documents.find(request.path);
    return found == documents.end() ? http_reply(404, "{}") : http_reply(200, found->second);
  };
}

}  // namespace perigee::image
