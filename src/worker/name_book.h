// NameBook: where the running machines of this node's apps are, as control has told last. Kept on
// disk (docs/formats/mesh.md), so that machines find each other while control is away, however
// often the worker starts meanwhile. Owned by Worker; one loop.
#pragma once

#include <map>
#include <set>
#include <string>

#include "async/event.h"
#include "model/names.h"
#include "sys/host.h"

namespace perigee::worker {

class NameBook {
 public:
  NameBook(sys::Host& host, std::string path);

  // What an earlier worker kept; nothing where there is none, or it can't be read.
  async::Task<void> load();
  void set(model::AppNames names);
  void remove(const AppName& app);
  void keep_only(const std::set<AppName>& apps);
  const model::AppNames* find(const AppName& app) const;  // null: nothing is known of it

  // Writes every change, for as long as the worker lives.
  static async::Task<void> run(NameBook& book);

 private:
  void changed();
  async::Task<Result<void>> save();

  sys::Host& host_;
  std::string path_;
  std::map<AppName, model::AppNames> names_;
  bool unsaved_ = false;
  async::Notify wish_;
};

}  // namespace perigee::worker
