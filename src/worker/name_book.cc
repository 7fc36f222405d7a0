#include "worker/name_book.h"

#include <utility>

#include "base/log.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

Result<std::map<AppName, model::AppNames>> parse_names(std::string_view text) {
  TRY(const json::Value document, json::parse(text));
  std::map<AppName, model::AppNames> all;
  for (const json::Value& each : document.items()) {
    TRY(model::AppNames names, model::app_names_from(each));
    all[names.app] = std::move(names);
  }
  return all;
}

}  // namespace

NameBook::NameBook(sys::Host& host, std::string path)
    : host_(host), path_(std::move(path)), wish_(host.loop) {}

async::Task<void> NameBook::load() {
  const auto text = co_await host_.disk.read_file(path_, kMaxNamesFile);
  if (!text && text.error().code == Code::not_found) co_return;
  auto names = text ? parse_names(*text) : fail(text.error());
  if (names) {
    names_ = *std::move(names);
  } else {
    log_warning("worker", "{}: {}; control will tell anew", path_, names.error().context);
  }
}

void NameBook::changed() {
  unsaved_ = true;
  wish_.notify_all();
}

void NameBook::set(model::AppNames names) {
  model::AppNames& known = names_[names.app];
  if (known == names) return;
  known = std::move(names);
  changed();
}

void NameBook::remove(const AppName& app) {
  if (names_.erase(app) > 0) changed();
}

void NameBook::keep_only(const std::set<AppName>& apps) {
  const auto gone = [&apps](const auto& each) { return !apps.contains(each.first); };
  if (std::erase_if(names_, gone) > 0) changed();
}

const model::AppNames* NameBook::find(const AppName& app) const {
  const auto found = names_.find(app);
  return found == names_.end() ? nullptr : &found->second;
}

async::Task<Result<void>> NameBook::save() {
  constexpr unsigned kOwnerOnly = 0600;
  json::Value all = json::array();
  for (const auto& [app, names] : names_) all.push(model::to_json(names));
  unsaved_ = false;
  co_return co_await host_.disk.write_file(path_, all.dump(), kOwnerOnly, sys::Durability::cached);
}

async::Task<void> NameBook::run(NameBook& book) {
  for (;;) {
    while (!book.unsaved_) co_await book.wish_.wait();
    const auto saved = co_await book.save();
    if (saved) continue;
    book.unsaved_ = true;
    log_warning("worker", "{}; trying again", saved.error().context);
    co_await book.host_.loop.sleep(kRetryAction);
  }
}

}  // namespace perigee::worker
