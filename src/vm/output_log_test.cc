#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "vm/output_log.h"

using namespace perigee;
using namespace perigee::vm;

namespace {

class Directory {
 public:
  Directory() {
    std::string name = "/tmp/perigee-log-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }
  void append(std::string_view name, const std::string& text) {
    std::ofstream(path_ + "/" + std::string(name), std::ios::app) << text;
  }
  void rotate() { std::filesystem::rename(path_ + "/output.log", path_ + "/output.1.log"); }

 private:
  std::string path_;
};

std::string line(std::uint64_t sequence, const std::string& message) {
  return format_record({.sequence = sequence, .at = {1}, .message = message});
}

std::vector<std::string> messages(LogReader& reader) {
  const auto lines = reader.read(1000);
  REQUIRE(lines.has_value());
  std::vector<std::string> out;
  for (const LogLine& one : *lines) out.push_back(one.message);
  return out;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("a filter takes lines by their text, stream and time") {
  const LogLine line{.sequence = 1, .at = {500}, .stream = LogStream::err, .message = "GET /a 200"};
  CHECK(matches({}, line));
  CHECK(matches({.search = "/a 2"}, line));
  CHECK_FALSE(matches({.search = "get"}, line));
  CHECK(matches({.stream = LogStream::err}, line));
  CHECK_FALSE(matches({.stream = LogStream::out}, line));
  CHECK(matches({.since = WallTime{500}}, line));
  CHECK_FALSE(matches({.since = WallTime{501}}, line));
  for (const LogStream stream : {LogStream::out, LogStream::err, LogStream::system})
    CHECK(log_stream_from(to_string(stream)) == stream);
  CHECK_FALSE(log_stream_from("o").has_value());
}

TEST_CASE("a record survives its text form, whatever its message holds") {
  for (const std::string message : {"", " ", "plain", "a  b ", "\x01\xff\r\t"}) {
    const LogRecord record{.sequence = 7,
                           .at = {123},
                           .stream = LogStream::err,
                           .whole = false,
                           .chunk = 4,
                           .chunk_ends = false,
                           .message = message};
    std::string text = format_record(record);
    REQUIRE(text.ends_with('\n'));
    text.pop_back();
    const auto back = parse_record(text);
    REQUIRE(back.has_value());
    CHECK(back->sequence == 7);
    CHECK(back->at == WallTime{123});
    CHECK(back->stream == LogStream::err);
    CHECK_FALSE(back->whole);
    CHECK(back->chunk == 4);
    CHECK_FALSE(back->chunk_ends);
    CHECK(back->message == message);
  }
}

TEST_CASE("what is not a record is refused") {
  for (const char* text : {"", "x", "1 2 o F", "1 2 o F 3", "1 2 z F 3. m", "1 2 o X 3. m",
                           "-1 2 o F 3. m", "1 2 o F x m", "99999999999999999999 2 o F 3. m"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_record(text).has_value());
  }
}

TEST_CASE("a reader follows a growing log, across rotations, from where it was") {
  Directory directory;
  LogReader reader(directory.path(), 0);
  CHECK(messages(reader).empty());
  directory.append("output.log", line(1, "a") + line(2, "b"));
  CHECK(messages(reader) == Strings{"a", "b"});
  CHECK(messages(reader).empty());
  directory.append("output.log", line(3, "c"));
  directory.rotate();
  directory.append("output.log", line(4, "d"));
  CHECK(messages(reader) == Strings{"c", "d"});
  directory.append("output.log", line(5, "e"));
  directory.rotate();
  directory.append("output.log", line(6, "f"));
  directory.rotate();  // what held "e" is gone unread
  directory.append("output.log", line(7, "g"));
  CHECK(messages(reader) == Strings{"e", "f", "g"});

  LogReader late(directory.path(), 6);
  CHECK(messages(late) == Strings{"g"});
  const auto tail = tail_log(directory.path(), 1);
  REQUIRE(tail.has_value());
  REQUIRE(tail->size() == 1);
  CHECK(tail->front().message == "g");
  CHECK(tail->front().sequence == 7);
}

TEST_CASE("a reader takes a bounded number of lines at a time") {
  Directory directory;
  directory.append("output.log", line(1, "a") + line(2, "b") + line(3, "c"));
  LogReader reader(directory.path(), 0);
  CHECK(reader.read(2)->size() == 2);
  CHECK(reader.read(2)->size() == 1);
  CHECK(reader.read(2)->empty());
}

TEST_CASE("parts of a line are joined per stream; half a record waits; damage is skipped") {
  Directory directory;
  const auto part = [](std::uint64_t sequence, LogStream stream, bool whole, const char* message) {
    return format_record(
        {.sequence = sequence, .at = {1}, .stream = stream, .whole = whole, .message = message});
  };
  directory.append("output.log", part(1, LogStream::out, false, "he"));
  directory.append("output.log", part(2, LogStream::err, false, "oo"));
  LogReader reader(directory.path(), 0);
  CHECK(messages(reader).empty());
  directory.append("output.log", part(3, LogStream::out, true, "llo"));
  CHECK(messages(reader) == Strings{"hello"});
  directory.append("output.log", "garbage\n");
  const std::string end = part(4, LogStream::err, true, "ps");
  directory.append("output.log", end.substr(0, 5));
  CHECK(messages(reader).empty());
  directory.append("output.log", end.substr(5));
  CHECK(messages(reader) == Strings{"oops"});
  directory.append("output.log", part(5, LogStream::out, false, "cut off"));
  directory.append("output.log", part(6, LogStream::system, true, "Instance ended"));
  CHECK(messages(reader) == Strings{"cut off", "Instance ended"});
}
