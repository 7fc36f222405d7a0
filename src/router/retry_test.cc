#include "router/retry.h"

#include "router/care_fixture.h"

namespace perigee::router {
namespace {

TEST_CASE("a request is tried again only where that does nothing twice") {
  struct Row {
    const char* what;
    FailedAttempt attempt;
    Retry expected;
  };
  const std::vector<Row> table{
      {"GET, refused", {.method = "GET"}, Retry::elsewhere},
      {"POST, refused", {.method = "POST"}, Retry::elsewhere},
      {"unknown method, refused", {.method = "MAKE"}, Retry::elsewhere},
      {"POST, refused when more was read than is kept",
       {.method = "POST", .body_kept = false},
       Retry::no},
      {"GET, cut", {.method = "GET", .sent = true, .cut = true}, Retry::repeat},
      {"HEAD, cut", {.method = "HEAD", .sent = true, .cut = true}, Retry::repeat},
      {"OPTIONS, cut", {.method = "OPTIONS", .sent = true, .cut = true}, Retry::repeat},
      {"TRACE, cut", {.method = "TRACE", .sent = true, .cut = true}, Retry::repeat},
      {"PUT, cut", {.method = "PUT", .sent = true, .cut = true}, Retry::repeat},
      {"DELETE, cut", {.method = "DELETE", .sent = true, .cut = true}, Retry::repeat},
      {"PUT, cut, its body not kept",
       {.method = "PUT", .sent = true, .cut = true, .body_kept = false},
       Retry::no},
      {"POST, cut", {.method = "POST", .sent = true, .cut = true}, Retry::no},
      {"PATCH, cut", {.method = "PATCH", .sent = true, .cut = true}, Retry::no},
      {"get, which is another method", {.method = "get", .sent = true, .cut = true}, Retry::no},
      {"unknown method, cut", {.method = "MAKE", .sent = true, .cut = true}, Retry::no},
      {"GET, late or nonsense", {.method = "GET", .sent = true}, Retry::no},
      {"GET, cut again and again",
       {.method = "GET", .sent = true, .cut = true, .repeats = kMaxRepeats},
       Retry::no}};
  for (const Row& row : table) {
    CAPTURE(row.what);
    CHECK(may_retry(row.attempt) == row.expected);
  }
}

// Takes a request whole and closes.
async::Task<void> cut_all(sys::Listener& listener, int& count) {
  for (;;) {
    auto stream = co_await listener.accept();
    std::array<char, 4096> buffer;
    if (!stream || !co_await (*stream)->read(buffer)) co_return;
    ++count;
  }
}

TEST_CASE_FIXTURE(CareFixture, "a PUT that a machine cuts goes whole to another one") {
  Scripted& good = start_named("m1", "127.0.0.1");
  auto listener = *h().network.listen(*sys::Address::ip("127.0.0.2", port));
  int cut = 0;
  tasks.spawn(cut_all(*listener, cut));
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  start_all();
  for (int i = 0; i < 4; ++i) {
    CHECK(send({.method = "PUT", .target = "/thing"}, "the body").body == "m1:the body");
  }
  CHECK(cut >= 1);
  CHECK(good.requests == 4);
  CHECK(router->state().budgets.used("hello", Resource::kept_bytes) == 0);
}

TEST_CASE("an app has its share of the router, and gives it back") {
  AppBudgets budgets;
  {
    auto one = budgets.open("greedy", Resource::kept_bytes);
    CHECK(one.grow(kMaxAppKeptBytes - 1));
    auto two = budgets.open("greedy", Resource::kept_bytes);
    CHECK(two.grow(1));
    CHECK_FALSE(two.grow(1));
    CHECK(budgets.refusals(Resource::kept_bytes) == 1);
    CHECK(budgets.open("other", Resource::kept_bytes).grow(kMaxAppKeptBytes));
    CHECK(budgets.open("greedy", Resource::requests).grow(1));
    auto moved = std::move(one);
    CHECK(moved.held() == kMaxAppKeptBytes - 1);
    CHECK(one.held() == 0);  // NOLINT(bugprone-use-after-move)
    CHECK(budgets.used("greedy", Resource::kept_bytes) == kMaxAppKeptBytes);
  }
  CHECK(budgets.used("greedy", Resource::kept_bytes) == 0);
}

}  // namespace
}  // namespace perigee::router
