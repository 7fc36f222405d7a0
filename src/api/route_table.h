// RouteTable: method and path pattern to a function. Filled once by whoever composes an API, then
// only read.
//
//   table.answer("GET", "/v1/apps/{app}", tokens.guard(), [&](api::Call& c) { return show(c); });
//
// A pattern's segments are literals or `{name}`, which matches one non-empty segment. Literals win
// over parameters; of two patterns with the same shape the first stays.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/types.h"

namespace perigee::api {

class RouteTable {
 public:
  struct Route {
    std::string method;
    std::vector<std::string> pattern;  // segments
    Guard guard;
    std::variant<Answer, Streamer> function;
  };
  struct Match {
    const Route* route = nullptr;  // null: see `allowed`
    std::vector<std::pair<std::string, std::string>> params;
    std::vector<std::string> allowed;  // methods of that path, where it exists for others only
  };

  void answer(std::string method, std::string_view pattern, Guard guard, Answer function);
  void stream(std::string method, std::string_view pattern, Guard guard, Streamer function);
  Match match(std::string_view method, std::string_view path) const;

 private:
  void add(std::string method, std::string_view pattern, Guard guard,
           std::variant<Answer, Streamer> function);
  std::vector<Route> routes_;
};

}  // namespace perigee::api
