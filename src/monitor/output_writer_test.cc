#include "monitor/output_writer.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>

using namespace perigee;
using namespace perigee::monitor;
using perigee::vm::LogStream;

namespace {

class Directory {
 public:
  Directory() {
    std::string name = "/tmp/perigee-writer-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }
  std::string log() const { return path_ + "/output.log"; }

 private:
  std::string path_;
};

OutputWriter open_writer(const Directory& directory, std::size_t max = vm::kMaxOutputLog) {
  auto writer = OutputWriter::open(directory.path(), max);
  REQUIRE(writer.has_value());
  return *std::move(writer);
}

std::string text_of(const Directory& directory) {
  const auto lines = vm::tail_log(directory.path(), 100'000);
  REQUIRE(lines.has_value());
  std::string text;
  for (const vm::LogLine& line : *lines) text += line.message + "\n";
  return text;
}

constexpr auto kOut = LogStream::out;
constexpr WallTime kNow{1000};

// No file grows beyond `bytes`, as on a full disk.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("chunks become lines, wherever they are cut") {
  const Directory directory;
  OutputWriter writer = open_writer(directory);
  writer.chunk(1, kOut, kNow, "one\ntw");
  writer.chunk(2, LogStream::err, kNow, "oops\n");
  writer.chunk(3, kOut, kNow, "o\n\nthree");
  writer.say(kNow, "Instance ended");
  CHECK(text_of(directory) == "one\noops\ntwo\n\nthree\nInstance ended\n");
}

TEST_CASE("a chunk that comes twice is kept once, also by the next monitor") {
  const Directory directory;
  {
    OutputWriter writer = open_writer(directory);
    writer.chunk(1, kOut, kNow, "a\nb\n");
    writer.chunk(2, kOut, kNow, "c\n");
    writer.chunk(2, kOut, kNow, "c\n");
  }
  OutputWriter next = open_writer(directory);
  CHECK(next.received() == 2);
  next.chunk(2, kOut, kNow, "c\n");
  next.chunk(3, kOut, kNow, "d\n");
  CHECK(text_of(directory) == "a\nb\nc\nd\n");
}

TEST_CASE("a chunk that is on file in part is taken away, to come again") {
  const Directory directory;
  {
    OutputWriter writer = open_writer(directory);
    writer.chunk(1, kOut, kNow, "a\n");
    writer.chunk(2, kOut, kNow, "b\nc\nd\n");
  }
  const auto size = std::filesystem::file_size(directory.log());
  for (std::uintmax_t cut = 1; cut <= 30; ++cut) {
    std::filesystem::resize_file(directory.log(), size - cut);
    OutputWriter next = open_writer(directory);
    REQUIRE(next.received() == 1);
    next.chunk(2, kOut, kNow, "b\nc\nd\n");
    REQUIRE(text_of(directory) == "a\nb\nc\nd\n");
    REQUIRE(std::filesystem::file_size(directory.log()) == size);
  }
}

TEST_CASE("a new boot counts chunks anew and lines on") {
  const Directory directory;
  {
    OutputWriter writer = open_writer(directory);
    writer.chunk(7, kOut, kNow, "first boot\n");
  }
  OutputWriter writer = open_writer(directory);
  writer.forget_chunks();
  writer.say(kNow, "Starting");
  CHECK(open_writer(directory).received() == 0);
  writer.chunk(1, kOut, kNow, "second boot\n");
  CHECK(text_of(directory) == "first boot\nStarting\nsecond boot\n");
  const auto lines = vm::tail_log(directory.path(), 10);
  for (std::size_t i = 0; i < 3; ++i) CHECK(lines->at(i).sequence == i + 1);
}

TEST_CASE("the log is bounded: a full one becomes the old one, and the count goes on") {
  const Directory directory;
  std::uint64_t number = 0;
  {
    OutputWriter writer = open_writer(directory, 1000);
    for (; number < 200; ++number) {
      writer.chunk(number + 1, kOut, kNow, fmt::format("line {}\n", number));
    }
  }
  CHECK(std::filesystem::file_size(directory.log()) <= 1100);
  CHECK(std::filesystem::file_size(directory.path() + "/output.1.log") <= 1100);
  std::filesystem::resize_file(directory.log(), 0);  // as just after a rotation
  CHECK(open_writer(directory).received() > 100);
}

TEST_CASE("a full disk drops output, counts it, and says so when there is room") {
  const Directory directory;
  OutputWriter writer = open_writer(directory);
  writer.chunk(1, kOut, kNow, "before\n");
  {
    const FileLimit limit(30);
    writer.chunk(2, kOut, kNow, "this does not fit any more\n");
    writer.chunk(3, kOut, kNow, "nor this\n");
  }
  CHECK(writer.dropped_bytes() == 36);
  CHECK(writer.received() == 3);  // acknowledged: the guest must not wait
  writer.chunk(4, kOut, kNow, "after\n");
  CHECK(text_of(directory) ==
        "before\n36 bytes of output were lost: the server's disk was full\nafter\n");
  CHECK(open_writer(directory).received() == 4);
}

TEST_CASE("a line without end and bytes of any kind are kept") {
  const Directory directory;
  OutputWriter writer = open_writer(directory);
  const std::string endless(40'000, 'x');
  writer.chunk(1, kOut, kNow, endless);
  writer.chunk(2, kOut, kNow, std::string("\0\x01\xff\n", 4));
  CHECK(text_of(directory) == endless + std::string("\0\x01\xff\n", 4));
}
