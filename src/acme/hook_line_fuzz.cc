// Any line of the hook: a message, refused, or a challenge whose words fit into a URL and a line.
#include <cstdint>
#include <string_view>

#include "acme/hook_line.h"
#include "acme/limits.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::acme;
  const auto call = parse_hook_line({reinterpret_cast<const char*>(data), size});
  if (!call || !*call || !(*call)->challenge) return 0;
  const auto& challenge = *(*call)->challenge;
  for (const std::string& word : {challenge.host, challenge.token, challenge.answer}) {
    PERIGEE_CHECK(!word.empty() && word.size() <= kMaxWord);
    PERIGEE_CHECK(word.find_first_of("/\r\n %?#") == std::string::npos);
  }
  return 0;
}
