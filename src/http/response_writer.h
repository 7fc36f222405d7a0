// Writer: the ResponseWriter of a server's connection. Owns the framing of the response and the
// decision to keep the connection. Private to http.
#pragma once

#include <memory>
#include <string>

#include "http/server_connection.h"

namespace perigee::http {

class Writer : public ResponseWriter {
 public:
  Writer(ServerConnection& connection, const RequestHead& request, bool close);
  async::Task<Result<void>> send(ResponseHead head, std::string body) override;
  async::Task<Result<void>> start(ResponseHead head) override;
  async::Task<Result<void>> write(std::string_view data) override;
  async::Task<Result<void>> finish(Headers trailers) override;
  bool started() const override { return state_ != State::unstarted; }
  async::Task<Result<sys::Stream*>> switch_protocols(std::string protocol, Headers fields) override;
  async::Task<void> closed() override;

  bool finished() const { return state_ == State::finished; }
  bool closes() const { return close_; }
  bool switched() const { return switched_ != nullptr; }
  void close_after() { close_ = true; }

 private:
  enum class State { unstarted, streaming, finished, failed };
  enum class Mode { none, length, chunked, until_close };
  Result<std::string> begin(ResponseHead head, std::optional<std::uint64_t> body_size);
  Result<void> choose_mode(ResponseHead& head, std::optional<std::uint64_t> body_size);
  async::Task<Result<void>> put(std::string_view data);
  bool bodiless(int status) const;

  ServerConnection& connection_;
  State state_ = State::unstarted;
  Mode mode_ = Mode::none;
  std::uint64_t left_ = 0;
  bool head_request_;
  bool takes_trailers_;
  int request_minor_;
  bool close_;
  std::unique_ptr<sys::Stream> switched_;  // the connection after switch_protocols
};

}  // namespace perigee::http
