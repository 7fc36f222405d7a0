// Exchange: one request and its response on one connection. Private to http.
//
// Sends the head, sends a streamed body beside reading the response, and gives the connection back
// to the pool when both have ended regularly.
#pragma once

#include <memory>
#include <string>

#include "http/client.h"
#include "http/client_pool.h"
#include "http/input.h"

namespace perigee::http {

class Exchange : public Response, public Body {
 public:
  Exchange(async::Loop& loop, std::weak_ptr<Pool> pool, sys::Address address,
           std::unique_ptr<sys::Stream> stream);
  // `head` is complete, framing included. `text` is sent after it, or else `body` is streamed.
  async::Task<std::expected<void, RequestFailure>> run(const RequestHead& head,
                                                       std::string_view text, Body* body,
                                                       Deadline deadline);
  // Nothing of a response came: on a pooled connection the peer had most likely closed it before.
  bool silent() const { return silent_; }

  Body& body() override { return *this; }
  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  std::optional<std::uint64_t> length() const override { return reader_->length(); }
  std::size_t ready() const override { return reader_->ready(); }
  Headers trailers() const override { return reader_->trailers(); }

 private:
  async::Task<Result<void>> send(std::string bytes);
  async::Task<void> stream_body(std::string start, Body& body);
  async::Task<Result<void>> send_piece(std::string_view data, bool chunked);
  async::Task<Result<void>> receive_head();
  async::Task<void> receive_into(std::optional<Result<void>>& result);
  async::Task<void> watch(Deadline deadline);
  async::Task<Result<void>> send_and_receive(std::string bytes);
  Result<bool> take_head(std::size_t size);
  void settle();

  async::Loop& loop_;
  std::weak_ptr<Pool> pool_;
  sys::Address address_;
  std::unique_ptr<sys::Stream> stream_;
  Input input_;
  std::string method_;
  bool silent_ = true;
  bool keep_alive_ = true;
  bool sent_ = false;  // all of the request
  std::optional<Error> body_error_;
  async::Event body_failed_;
  MonotonicTime progress_;
  std::optional<BodyReader> reader_;
  async::Task<void> sender_;  // last: uses the others
};

}  // namespace perigee::http
