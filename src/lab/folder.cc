#include "lab/folder.h"

#include "lab/limits.h"

namespace perigee::lab {
namespace {

std::string codes(const std::vector<City>& cities) {
  std::string out;
  for (const City& city : cities) out += (out.empty() ? "" : ",") + city.code;
  return out;
}

}  // namespace

async::Task<Result<Lab>> load_lab(sys::Host& host, std::string directory) {
  const std::string path = make_plan(directory, {}).state_file();
  auto text = co_await host.disk.read_file(path, kMaxLabFile);
  if (!text && text.error().code == Code::not_found) {
    co_return fail(Code::not_found, "no lab in {}: perigee lab up makes one", directory);
  }
  if (!text) co_return fail(text.error());
  CO_TRY_AS(LabFile file, decode_lab_file(*text), path);
  Plan plan = make_plan(directory, file.cities);
  co_return Lab{.file = std::move(file), .plan = std::move(plan)};
}

async::Task<Result<Lab>> ensure_lab(sys::Host& host, std::string directory,
                                    std::vector<City> cities) {
  auto there = co_await load_lab(host, directory);
  if (there && there->file.cities != cities) {
    co_return fail(Code::conflict, "the lab in {} has other cities ({}): perigee lab down first",
                   directory, codes(there->file.cities));
  }
  if (there || there.error().code != Code::not_found) co_return there;
  Lab lab{.file = {.cities = std::move(cities)}, .plan = {}};
  lab.plan = make_plan(directory, lab.file.cities);
  CO_TRY_VOID(co_await host.disk.make_directories(directory, 0755));
  CO_TRY_VOID(co_await host.disk.write_file(lab.plan.state_file(), encode(lab.file), 0644,
                                            sys::Durability::synced));
  co_return lab;
}

}  // namespace perigee::lab
