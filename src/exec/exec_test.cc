#include <doctest/doctest.h>

#include <variant>

#include "exec/limits.h"
#include "exec/stream.h"
#include "exec/words.h"

namespace perigee::exec {
namespace {

template <typename Decoder, typename Message>
std::vector<Message> decode(std::string_view bytes, std::size_t piece) {
  Decoder decoder;
  std::vector<Message> out;
  while (!bytes.empty()) {
    decoder.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (;;) {
      auto message = decoder.next();
      REQUIRE(message.has_value());
      if (!*message) break;
      out.push_back(**message);
    }
  }
  return out;
}

template <typename Message>
std::string bytes_of(const std::vector<Message>& messages) {
  std::string bytes;
  for (const Message& message : messages)
    bytes += std::visit([](const auto& value) { return encode(value); }, message);
  return bytes;
}

TEST_CASE("every message arrives as it was sent, whatever the pieces") {
  const std::vector<ClientMessage> from_client{Start{.command = {"sh", "-c", "echo \"a b\""},
                                                     .env = {"A=1"},
                                                     .user = "web",
                                                     .directory = "/srv",
                                                     .tty = true,
                                                     .window = {24, 80}},
                                               Input{std::string("a\0b", 3)},
                                               Input{},
                                               EndInput{},
                                               Resize{{50, 300}},
                                               Signal{2}};
  const std::vector<ServerMessage> from_server{
      Started{}, Output{Channel::out, "out"}, Output{Channel::err, std::string(3000, 'e')},
      Exited{130, 2}, Failed{Code::not_found, "command \"x\": not found"}};
  for (const std::size_t piece : {1U, 2U, 7U, 100000U}) {
    CHECK(decode<ClientDecoder, ClientMessage>(bytes_of(from_client), piece) == from_client);
    CHECK(decode<ServerDecoder, ServerMessage>(bytes_of(from_server), piece) == from_server);
  }
}

TEST_CASE("frames of a type to come are skipped") {
  const std::string unknown("\x70\3\0\0\0new", 8);
  CHECK(decode<ClientDecoder, ClientMessage>(unknown + encode(EndInput{}), 100) ==
        std::vector<ClientMessage>{EndInput{}});
  CHECK(decode<ServerDecoder, ServerMessage>(unknown + encode(Started{}), 100) ==
        std::vector<ServerMessage>{Started{}});
}

TEST_CASE("what can't be a message is an error that says why") {
  const auto error = [](std::string_view bytes) {
    ClientDecoder decoder;
    decoder.feed(bytes);
    const auto message = decoder.next();
    return message.has_value() ? "none" : message.error().context;
  };
  CHECK(error(std::string_view("\2\xff\xff\xff\0", 5)).find("is above 65536") != std::string::npos);
  CHECK(error(std::string_view("\4\2\0\0\0ab", 7)).find("too short") != std::string::npos);
  CHECK(error(encode(Start{})).find("command: empty") != std::string::npos);
  CHECK(error(std::string_view("\1\2\0\0\0[]", 7)).find("expected an object") != std::string::npos);
}

TEST_CASE("a command line is cut into words as a shell does it") {
  using Words = std::vector<std::string>;
  const std::pair<std::string_view, Words> cases[] = {
      {"", {}},
      {"  ls\t-l  /srv ", {"ls", "-l", "/srv"}},
      {"sh -c 'echo \"a  b\"'", {"sh", "-c", "echo \"a  b\""}},
      {"a\\ b \"c \\\" \\n\" ''", {"a b", "c \" \\n", ""}},
      {"x'y'\"z\"", {"xyz"}},
      {"back\\", {"back\\"}},
  };
  for (const auto& [text, words] : cases) CHECK(split_words(text).value() == words);
  CHECK(split_words("echo 'open").error().code == Code::invalid_argument);
  std::string many;
  for (std::size_t i = 0; i <= kMaxWords; ++i) many += "a ";
  CHECK(split_words(many).error().code == Code::invalid_argument);
}

}  // namespace
}  // namespace perigee::exec
