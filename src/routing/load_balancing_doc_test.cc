// docs/load-balancing.md says what choose does: its table of rules is order_of, its examples come
// out as they are written there, reasons included.
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/text.h"
#include "routing/choose.h"
#include "routing/wish.h"

namespace perigee::routing {
namespace {

std::vector<std::string> lines_of_page() {
  std::ifstream file(PERIGEE_LOAD_BALANCING_DOC);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// "| a | b |" → {"a", "b"}
std::vector<std::string> cells(std::string_view line) {
  std::vector<std::string> out;
  for (const std::string_view cell : split(line.substr(1, line.size() - 2), '|')) {
    out.emplace_back(trim(cell));
  }
  return out;
}

int number_in(std::string_view text) {
  return static_cast<int>(parse_uint(trim(text.substr(0, text.find(" ms"))), 1'000'000).value());
}

struct Example {
  std::string heading;
  Policy policy;
  Wish wish;
  std::vector<std::vector<std::string>> rows;
};

// "`nearest`, soft limit 20, hard limit 25, prefers syd"
Example begin_example(const std::string& line) {
  Example example{.heading = line, .policy = {}, .wish = {}, .rows = {}};
  for (const std::string_view raw : split(line, ',')) {
    const std::string_view part = trim(raw);
    if (part == "`balanced`") example.policy.balancing = model::Balancing::balanced;
    if (part.starts_with("soft limit ")) example.policy.soft_limit = number_in(part.substr(11));
    if (part.starts_with("hard limit ")) example.policy.hard_limit = number_in(part.substr(11));
    if (part.starts_with("prefers ")) {
      example.wish.regions.emplace_back(std::string(part.substr(8)));
    }
    if (part.starts_with("insists on ")) {
      example.wish.regions.emplace_back(std::string(part.substr(11)));
      example.wish.regions_only = true;
    }
  }
  return example;
}

std::vector<Example> examples_of_page() {
  std::vector<Example> out;
  bool in_table = false;
  for (const std::string& line : lines_of_page()) {
    if (line.starts_with("`nearest`, soft") || line.starts_with("`balanced`, soft")) {
      out.push_back(begin_example(line));
    }
    if (line.starts_with("| machine |")) {
      in_table = true;
    } else if (!line.starts_with("|")) {
      in_table = false;
    } else if (in_table && !line.starts_with("| ---")) {
      out.back().rows.push_back(cells(line));
    }
  }
  return out;
}

TEST_CASE("each example of the page comes out as it says") {
  const std::vector<Example> examples = examples_of_page();
  CHECK(examples.size() == 7);
  for (const Example& example : examples) {
    CAPTURE(example.heading);
    REQUIRE(example.rows.size() >= 2);
    std::vector<model::RouteTarget> targets(example.rows.size());
    std::vector<Candidate> candidates;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      targets[i].region = RegionCode(example.rows[i][0]);
      targets[i].state = model::MachineState::started;
      targets[i].listening = true;
      targets[i].address = "10.0.0.1";
      candidates.push_back({.target = &targets[i],
                            .in_flight = number_in(example.rows[i][2]),
                            .rtt = number_in(example.rows[i][1]) * 1ms,
                            .wish = fit(example.wish, targets[i])});
    }
    const Decision decision = choose(candidates, example.policy, 0);
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const bool chosen = decision.index == i;
      const std::string said = why(candidates, example.policy, decision, i);
      CHECK(example.rows[i][3] == (chosen ? "**chosen**: " + said : said));
    }
  }
}

TEST_CASE("the page's table of rules is the code's") {
  std::vector<std::string> nearest;
  std::vector<std::string> balanced;
  for (const std::string& line : lines_of_page()) {
    const bool numbered = line.size() > 3 && line.starts_with("| ") && line[2] >= '1' &&
                          line[2] <= '9' && line[3] == ' ';
    if (!numbered) continue;
    const std::vector<std::string> row = cells(line);
    nearest.push_back(row[1]);
    balanced.push_back(row[2]);
  }
  const auto names = [](model::Balancing balancing) {
    std::vector<std::string> out;
    for (const Criterion criterion : order_of(balancing)) out.emplace_back(name(criterion));
    return out;
  };
  CHECK(nearest == names(model::Balancing::nearest));
  CHECK(balanced == names(model::Balancing::balanced));
}

TEST_CASE("a wish ranks the machine it names, then its regions, then the others") {
  model::RouteTarget target;
  target.machine = MachineId("m1");
  target.region = RegionCode("fra");
  CHECK(fit({}, target) == 0);
  Wish wish{.machine = MachineId("m1"), .machine_only = true, .regions = {}};
  CHECK(fit(wish, target) == 0);
  wish.machine = MachineId("m2");
  CHECK(fit(wish, target) == kNotWished);
  wish.machine_only = false;
  wish.regions = {RegionCode("syd"), RegionCode("fra")};
  CHECK(fit(wish, target) == 2);
  target.region = RegionCode("iad");
  CHECK(fit(wish, target) == 3);
  wish.regions_only = true;
  CHECK(fit(wish, target) == kNotWished);
}

}  // namespace
}  // namespace perigee::routing
