#include "store/rules.h"

namespace perigee::store {
namespace {

Result<void> check_key(std::string_view key) {
  if (key.empty() || key.front() != '/')
    return fail(Code::invalid_argument, "store key \"{}\": must begin with /", key);
  if (key.size() > kMaxKeyBytes)
    return fail(Code::invalid_argument, "store key of {} bytes: at most {}", key.size(),
                kMaxKeyBytes);
  return {};
}

}  // namespace

Result<void> validate(const Transaction& transaction) {
  const std::size_t size = transaction.changes.size() + transaction.expects.size();
  if (size > kMaxTransactionChanges)
    return fail(Code::resource_exhausted, "transaction of {} parts: at most {}", size,
                kMaxTransactionChanges);
  for (const auto& expect : transaction.expects) TRY_VOID(check_key(expect.key));
  for (const auto& change : transaction.changes) {
    TRY_VOID(check_key(change.key));
    if (change.value && change.value->size() > kMaxValueBytes)
      return fail(Code::resource_exhausted, "{}: value of {} bytes, at most {}", change.key,
                  change.value->size(), kMaxValueBytes);
  }
  return {};
}

std::optional<std::string> end_of_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    const auto last = static_cast<unsigned char>(end.back());
    if (last != 0xff) {
      end.back() = static_cast<char>(last + 1);
      return end;
    }
    end.pop_back();
  }
  return std::nullopt;
}

Error conflict(std::string_view key, Revision expected, Revision actual) {
  return Error::make(Code::conflict, fmt::format("{}: changed meanwhile (expected revision {}, "
                                                 "is at {})",
                                                 key, expected, actual));
}

Error compacted(Revision after, Revision floor) {
  return Error::make(Code::data_loss, fmt::format("changes after revision {} are compacted up to "
                                                  "{}: list again",
                                                  after, floor));
}

}  // namespace perigee::store
