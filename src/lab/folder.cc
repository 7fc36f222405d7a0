#include "lab/folder.h"

#include "lab/limits.h"

namespace perigee::lab {
namespace {

std::string codes(const std::vector<City>& cities) {
  std::string out;
  for (const City& city : cities) out += (out.empty() ? "" : ",") + city.code;
  return out;
}

std::string control_codes(const Plan& plan) {
  std::string out;
  for (const CityPlan* city : plan.controls()) out += (out.empty() ? "" : ",") + city->city.code;
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
  Plan plan = make_plan(directory, file.cities, file.control);
  co_return Lab{.file = std::move(file), .plan = std::move(plan)};
}

async::Task<Result<Lab>> ensure_lab(sys::Host& host, std::string directory,
                                    std::vector<City> cities, ControlPlan control) {
  auto there = co_await load_lab(host, directory);
  if (there && there->file.cities != cities) {
    co_return fail(Code::conflict, "the lab in {} has other cities ({}): perigee lab down first",
                   directory, codes(there->file.cities));
  }
  if (there && there->file.control.cities != control.cities) {
    co_return fail(Code::conflict,
                   "the lab in {} has control elsewhere ({}): perigee lab down first", directory,
                   control_codes(there->plan));
  }
  if (there || there.error().code != Code::not_found) co_return there;
  Lab lab{.file = {.cities = std::move(cities), .control = std::move(control)}, .plan = {}};
  lab.plan = make_plan(directory, lab.file.cities, lab.file.control);
  CO_TRY_VOID(co_await host.disk.make_directories(directory, 0755));
  CO_TRY_VOID(co_await host.disk.write_file(lab.plan.state_file(), encode(lab.file), 0644,
                                            sys::Durability::synced));
  co_return lab;
}

}  // namespace perigee::lab
