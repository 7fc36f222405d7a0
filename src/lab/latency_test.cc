#include "lab/latency.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "lab/load.h"
#include "lab/visit.h"

namespace perigee::lab {
namespace {

Plan plan_of(std::string_view cities) {
  return make_plan("/lab", parse_cities(cities).value());
}

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

LatencyReport report() {
  return {.app = "hello",
          .origin = "iad",
          .cities = {{.city = "iad",
                      .distance = 2ms,
                      .origin = {.median = 40ms, .answered = 5, .asked = 5},
                      .perigee = {.median = 40ms, .answered = 5, .asked = 5}},
                     {.city = "syd",
                      .distance = 237ms,
                      .origin = {.median = 800ms, .answered = 5, .asked = 5},
                      .perigee = {.median = 48ms, .answered = 3, .asked = 5}},
                     {.city = "fra", .distance = 100ms, .origin = {.asked = 5}, .perigee = {}}}};
}

}  // namespace

TEST_CASE("curl is told that names under the lab's domain are at the edge, and no others") {
  const Plan plan = plan_of("iad,syd");
  const auto argv = curl_command(plan, plan.cities[1],
                                 {"https://hello.lab.test/a?b=c:d", "http://web.lab.test:8080",
                                  "http://10.90.1.1/", "-o", "/dev/null"});
  REQUIRE(argv.has_value());
  CHECK(has(*argv, "hello.lab.test:443:10.90.2.1"));
  CHECK(has(*argv, "web.lab.test:8080:10.90.2.1"));
  CHECK(std::ranges::count(*argv, "--resolve") == 2);
  CHECK(has(*argv, "/lab/iad/var/lib/perigee/ca.pem"));
  CHECK(argv->back() == "/dev/null");
  CHECK_FALSE(curl_command(plan, plan.cities[1], {"hello.lab.test"}).has_value());
  CHECK_FALSE(curl_command(plan, plan.cities[1], {"file:///etc/passwd"}).has_value());
  CHECK_FALSE(curl_command(plan, plan.cities[1], {"http://a.lab.test:0x/"}).has_value());
}

TEST_CASE("measurements are read, and one on another's connection is none") {
  const auto samples = parse_samples("200 1 0.048211\n503 1 0.1\n000 0 0.000000\n");
  REQUIRE(samples.has_value());
  CHECK((*samples)[0] == Sample{.status = 200, .first_byte = 48'211us});
  const Wait wait = summarize(*samples, 4);
  CHECK(wait.median == 48'211us);
  CHECK(wait.answered == 1);
  CHECK(wait.asked == 4);
  CHECK(summarize({}, 4).answered == 0);
  CHECK_FALSE(parse_samples("200 0 0.048211\n").has_value());
  CHECK_FALSE(parse_samples("200 1\n").has_value());
  CHECK_FALSE(parse_samples("200 1 fast\n").has_value());
}

TEST_CASE("the median is the middle of those that were answered") {
  std::vector<Sample> samples;
  for (const int each : {5, 1, 9, 7, 3})
    samples.push_back({.status = 200, .first_byte = each * 1ms});
  samples.push_back({.status = 502, .first_byte = 0ms});
  CHECK(summarize(samples, 6).median == 5ms);
}

TEST_CASE("the plot's longest bar is the longest wait, and it says what is missing") {
  const auto lines = terminal_plot(report());
  REQUIRE(lines.size() == 6);
  CHECK(lines[0] == "iad  origin   ███ 40 ms");
  CHECK(lines[3] == "     perigee  ███ 48 ms (3 of 5 answered)");
  CHECK(std::ranges::count(lines[2], '\x96') == 50);  // blocks: all columns
  CHECK(lines[2].find("800 ms") != std::string::npos);
  CHECK(lines[4] == "fra  origin    no answer");
}

TEST_CASE("every form of the report says that it is simulated, and by which rule") {
  for (const std::string& text : {simulation_note(report()), svg_plot(report())}) {
    CHECK(text.find("imulated") != std::string::npos);
    CHECK(text.find(kRoundTripRule) != std::string::npos);
  }
  const std::string svg = svg_plot(report());
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(svg.find("48 ms (3 of 5 answered)") != std::string::npos);
}

TEST_CASE("a load is summed up by outcome, and by time where it was answered") {
  std::vector<LoadSample> samples;
  for (int i = 100; i > 0; --i) samples.push_back({.outcome = "200", .took = i * 1ms});
  samples.push_back({.outcome = "503", .took = 9s});
  samples.push_back({.outcome = "no connection", .took = 9s});
  const LoadSummary summary = summarize_load(samples);
  CHECK(summary.asked == 102);
  CHECK(summary.outcomes.at("200") == 100);
  CHECK(summary.outcomes.at("503") == 1);
  CHECK(summary.p50 == 50ms);
  CHECK(summary.p99 == 99ms);
  CHECK(summary.longest == 100ms);
  CHECK(summarize_load({}).asked == 0);
}

}  // namespace perigee::lab
