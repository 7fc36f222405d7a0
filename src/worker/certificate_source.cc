#include "worker/certificate_source.h"

#include "async/combine.h"
#include "base/log.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

constexpr std::string_view kPath = "/internal/v1/certificates";

Result<CertificateSample> sample_from(const json::Value& value) {
  CertificateSample sample;
  TRY(sample.host, value.require_string("host"));
  TRY(sample.app, value.require_string("app"));
  TRY(sample.end_seconds, value.require_int("end_seconds"));
  TRY(sample.failed_orders, value.require_int("failed_orders"));
  return sample;
}

}  // namespace

async::Task<std::vector<CertificateSample>> CertificateSource::sample() {
  Result<std::vector<CertificateSample>> asked = co_await ask();
  if (asked) co_return *std::move(asked);
  log_debug("worker", "certificates: {}", asked.error().context);
  co_return std::vector<CertificateSample>();
}

async::Task<Result<std::vector<CertificateSample>>> CertificateSource::ask() {
  http::RequestHead head{.method = "GET", .target = std::string(kPath)};
  const Deadline deadline = host_.loop.deadline_in(kCertificatesTimeout);
  CO_TRY(const auto response, co_await client_.request(control_, std::move(head), {}, deadline));
  CO_TRY(const std::string text,
         co_await async::with_deadline(host_.loop, deadline,
                                       http::read_all(response->body(), kMaxCertificatesAnswer),
                                       "certificates"));
  if (response->head.status != 200) {
    co_return fail(Code::unavailable, "control answered {}", response->head.status);
  }
  CO_TRY(const json::Value answer, json::parse(text));
  std::vector<CertificateSample> out;
  const json::Value* hosts = answer.find("hosts");
  for (const json::Value& each : hosts == nullptr ? json::Array{} : hosts->items()) {
    CO_TRY(CertificateSample sample, sample_from(each));
    out.push_back(std::move(sample));
  }
  co_return out;
}

}  // namespace perigee::worker
