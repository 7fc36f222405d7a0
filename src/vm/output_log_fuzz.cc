// Any text as one record of an output log: parsed or refused; what is parsed survives its text
// form.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "vm/output_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto record = perigee::vm::parse_record(text);
  if (!record) return 0;
  std::string again = perigee::vm::format_record(*record);
  PERIGEE_CHECK(again.ends_with('\n'));
  again.pop_back();
  const auto back = perigee::vm::parse_record(again);
  PERIGEE_CHECK(back.has_value());
  PERIGEE_CHECK(back->sequence == record->sequence && back->at == record->at);
  PERIGEE_CHECK(back->stream == record->stream && back->whole == record->whole);
  PERIGEE_CHECK(back->chunk == record->chunk && back->message == record->message);
  return 0;
}
