// Prometheus' text format (version 0.0.4): families of samples, each with its HELP and TYPE once
// and its samples together. Pure; metrics.h says what is in them.
//
//   Exposition out;
//   out.family("perigee_machine_up", Type::gauge, "Whether …");
//   out.sample({{"app", "web"}}, 1);
//   std::move(out).text();
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perigee::worker {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

class Exposition {
 public:
  enum class Type { counter, gauge, untyped };
  // The samples that follow are of this family. Its head is left out if none does.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(const Labels& labels, double value);
  // Whole numbers keep all their digits.
  void sample(const Labels& labels, std::uint64_t value);
  std::string text() && { return std::move(text_); }

 private:
  void line(const Labels& labels, std::string_view value);
  std::string name_;
  std::string head_;  // of the family, until its first sample
  std::string text_;
};

// A label's value as it stands between quotes: \\ \" and \n escaped.
std::string escape_label(std::string_view value);

}  // namespace perigee::worker
