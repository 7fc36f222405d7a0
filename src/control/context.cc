#include "control/context.h"

namespace perigee::control {

async::Task<Result<void>> Context::commit(store::Transaction transaction) const {
  if (fence != nullptr) {
    if (fence->revision == 0)
      co_return fail(Code::conflict, "{}: this control leads it no more", fence->key);
    transaction.expect(fence->key, fence->revision);
  }
  co_return co_await desired.commit(std::move(transaction));
}

Context Context::fenced_by(const Fence& by) const {
  Context copy = *this;
  copy.fence = &by;
  return copy;
}

}  // namespace perigee::control
