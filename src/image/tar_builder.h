// TarBuilder: writes tar archives for tests: any field may be set to what no tar program would.
// Also used by fuzz corpora. Not part of the library's interface.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perigee::image {

struct TarSpec {
  std::string name;
  char type = '0';
  std::string data = {};
  std::string link = {};
  unsigned mode = 0644;
  unsigned uid = 0;
  unsigned gid = 0;
  std::int64_t mtime = 1'700'000'000;
  unsigned major = 0;
  unsigned minor = 0;
  std::vector<std::pair<std::string, std::string>> pax = {};
};

class TarBuilder {
 public:
  TarBuilder& add(const TarSpec& spec) {
    if (!spec.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : spec.pax) records += pax_record(key, value);
      header({.name = "pax", .type = 'x', .data = records});
      body(records);
    }
    header(spec);
    body(spec.data);
    return *this;
  }
  TarBuilder& file(std::string name, std::string data) {
    return add({.name = std::move(name), .data = std::move(data)});
  }
  TarBuilder& dir(std::string name, unsigned mode = 0755) {
    return add({.name = std::move(name), .type = '5', .mode = mode});
  }
  TarBuilder& raw(std::string_view bytes) {
    out_ += bytes;
    return *this;
  }
  std::string end() const { return out_ + std::string(1024, '\0'); }
  const std::string& bytes() const { return out_; }

  static std::string pax_record(std::string_view key, std::string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;  // blank, equals sign, newline
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) {
      length = std::to_string(length).size() + rest;
    }
    return fmt::format("{} {}={}\n", length, key, value);
  }

  // The block's checksum put right after a change.
  static void seal(std::array<char, 512>& block) {
    std::memset(block.data() + 148, ' ', 8);
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(block, 148, fmt::format("{:06o}", sum) + '\0');
  }
  static std::array<char, 512> block_of(const TarSpec& spec) {
    std::array<char, 512> block{};
    put(block, 0, spec.name.substr(0, 100));
    put(block, 100, fmt::format("{:07o}", spec.mode));
    put(block, 108, fmt::format("{:07o}", spec.uid));
    put(block, 116, fmt::format("{:07o}", spec.gid));
    put(block, 124, fmt::format("{:011o}", spec.data.size()));
    put(block, 136, fmt::format("{:011o}", spec.mtime));
    block[156] = spec.type;
    put(block, 157, spec.link.substr(0, 100));
    put(block, 257, std::string("ustar\00000", 8));
    put(block, 329, fmt::format("{:07o}", spec.major));
    put(block, 337, fmt::format("{:07o}", spec.minor));
    seal(block);
    return block;
  }
  static void put(std::array<char, 512>& block, std::size_t at, std::string_view text) {
    std::memcpy(block.data() + at, text.data(), text.size());
  }

 private:
  void header(const TarSpec& spec) {
    const auto block = block_of(spec);
    out_.append(block.data(), block.size());
  }
  void body(std::string_view data) {
    out_ += data;
    out_.resize((out_.size() + 511) / 512 * 512, '\0');
  }

  std::string out_;
};

}  // namespace perigee::image
