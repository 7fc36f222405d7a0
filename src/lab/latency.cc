#include "lab/latency.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "lab/visit.h"

namespace perigee::lab {
namespace {

constexpr int kOk = 200;
constexpr std::string_view kSampleFormat = "%{http_code} %{num_connects} %{time_starttransfer}\\n";
constexpr double kNanosecondsPerSecond = 1e9;

constexpr double kBarColumns = 50;

// The drawing, in its own units.
constexpr int kSvgWidth = 900;
constexpr int kSvgLeft = 60;
constexpr int kSvgBars = 740;  // at most
constexpr int kSvgTop = 64;
constexpr int kSvgRow = 34;
constexpr int kSvgBar = 13;

double ms(Duration duration) {
  return to_seconds(duration) * 1000;
}

Result<Sample> parse_sample(std::string_view line) {
  const auto words = split(line, ' ');
  if (words.size() != 3) return fail(Code::internal, "'{}' is no measurement", line);
  const auto status = parse_uint(words[0], 999);
  const auto connects = parse_uint(words[1], 1000);
  double seconds = 0;
  const auto [end, error] =
      std::from_chars(words[2].data(), words[2].data() + words[2].size(), seconds);
  if (!status || !connects || error != std::errc() || end != words[2].data() + words[2].size()) {
    return fail(Code::internal, "'{}' is no measurement", line);
  }
  if (*status != 0 && *connects == 0) {
    return fail(Code::internal, "a request used the connection of another");
  }
  return Sample{.status = static_cast<int>(*status),
                .first_byte = Duration(static_cast<std::int64_t>(seconds * kNanosecondsPerSecond))};
}

Duration longest(const LatencyReport& report) {
  Duration longest{1};
  for (const CityLatency& each : report.cities) {
    longest = std::max({longest, each.origin.median, each.perigee.median});
  }
  return longest;
}

std::string wait_text(const Wait& wait) {
  if (wait.answered == 0) return "no answer";
  return fmt::format("{:.0f} ms{}", ms(wait.median),
                     wait.answered == wait.asked
                         ? std::string()
                         : fmt::format(" ({} of {} answered)", wait.answered, wait.asked));
}

std::string terminal_bar(std::string_view city, std::string_view who, const Wait& wait,
                         Duration full) {
  const double columns = kBarColumns * ms(wait.median) / ms(full);
  std::string bar;
  for (long i = 0; i < std::lround(columns); ++i) bar += "█";
  return fmt::format("{:3}  {:7}  {} {}", city, who, bar, wait_text(wait));
}

std::string svg_bar(int y, std::string_view color, const Wait& wait, Duration full) {
  const auto width = static_cast<int>(kSvgBars * ms(wait.median) / ms(full));
  return fmt::format(
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\n"
      "<text x=\"{}\" y=\"{}\">{}</text>\n",
      kSvgLeft, y, width, kSvgBar, color, kSvgLeft + width + 6, y + kSvgBar - 2, wait_text(wait));
}

}  // namespace

// Each request over a connection of its own, which HTTP/2 would share.
std::vector<std::string> sample_command(const Plan& plan, const CityPlan& edge,
                                        std::string_view app, std::string_view path, int count) {
  const std::string host = fmt::format("{}.{}", app, kDomain);
  std::vector<std::string> argv{"curl",        "--silent",
                                "--noproxy",   "*",
                                "--tlsv1.3",   "--no-sessionid",
                                "--http1.1",   "--no-progress-meter",
                                "--max-time",  "20",
                                "--header",    "Connection: close",
                                "--resolve",   fmt::format("{}:443:{}", host, edge.node.address),
                                "--cacert",    authority_file(plan),
                                "--write-out", std::string(kSampleFormat)};
  for (int i = 0; i < count; ++i) {
    argv.insert(argv.end(), {"--output", "/dev/null", fmt::format("https://{}{}", host, path)});
  }
  return argv;
}

Result<std::vector<Sample>> parse_samples(std::string_view text) {
  std::vector<Sample> samples;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    TRY(const Sample sample, parse_sample(line));
    samples.push_back(sample);
  }
  return samples;
}

Wait summarize(const std::vector<Sample>& samples, int asked) {
  std::vector<Duration> waits;
  for (const Sample& each : samples) {
    if (each.status == kOk) waits.push_back(each.first_byte);
  }
  if (waits.empty()) return {.asked = asked};
  const auto middle = waits.begin() + static_cast<std::ptrdiff_t>(waits.size() / 2);
  std::ranges::nth_element(waits, middle);
  return {.median = *middle, .answered = static_cast<int>(waits.size()), .asked = asked};
}

std::string simulation_note(const LatencyReport& report) {
  return fmt::format(
      "Simulated network ({}). Time to the first byte over a new connection with TLS 1.3, median. "
      "origin: users connect to {}, which ends TLS; perigee: to their own city's edge.",
      kRoundTripRule, report.origin);
}

std::vector<std::string> terminal_plot(const LatencyReport& report) {
  const Duration full = longest(report);
  std::vector<std::string> lines;
  for (const CityLatency& each : report.cities) {
    lines.push_back(terminal_bar(each.city, "origin", each.origin, full));
    lines.push_back(terminal_bar("", "perigee", each.perigee, full));
  }
  return lines;
}

std::string svg_plot(const LatencyReport& report) {
  const Duration full = longest(report);
  const int height = kSvgTop + static_cast<int>(report.cities.size()) * kSvgRow + 40;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n"
      "<text x=\"{2}\" y=\"24\" font-size=\"16\">{3}: one origin in {4} (grey) against Perigee "
      "(green)</text>\n<text x=\"{2}\" y=\"44\" fill=\"#555\">Simulated: {5}. Time to the first "
      "byte, new TLS 1.3 connection, median.</text>\n",
      kSvgWidth, height, kSvgLeft, report.app, report.origin, kRoundTripRule);
  int y = kSvgTop;
  for (const CityLatency& each : report.cities) {
    out += fmt::format("<text x=\"16\" y=\"{}\">{}</text>\n", y + kSvgBar + 4, each.city);
    out += svg_bar(y, "#9aa0a6", each.origin, full);
    out += svg_bar(y + kSvgBar + 1, "#1e8e3e", each.perigee, full);
    y += kSvgRow;
  }
  return out + "</svg>\n";
}

}  // namespace perigee::lab
