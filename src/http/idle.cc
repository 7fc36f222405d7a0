#include "http/idle.h"

namespace perigee::http {

async::Task<void> IdleConnections::run() {
  for (;;) {
    if (oldest_ == nullptr) {
      co_await first_came_.wait();
      continue;
    }
    co_await loop_.sleep_until(oldest_->since_ + timeout_);
    // All have the same time, so that those whose time is up are the oldest.
    for (Wait* each = oldest_; each != nullptr && each->since_ + timeout_ <= loop_.now();
         each = each->newer_) {
      each->end();
    }
  }
}

void IdleConnections::end_all() {
  ended_ = true;
  for (Wait* each = oldest_; each != nullptr; each = each->newer_) each->end();
}

void IdleConnections::add(Wait& wait) {
  wait.listed_ = true;
  wait.older_ = newest_;
  (newest_ == nullptr ? oldest_ : newest_->newer_) = &wait;
  newest_ = &wait;
  if (oldest_ == &wait) first_came_.notify_all();
}

void IdleConnections::remove(Wait& wait) {
  wait.listed_ = false;
  (wait.older_ == nullptr ? oldest_ : wait.older_->newer_) = wait.newer_;
  (wait.newer_ == nullptr ? newest_ : wait.newer_->older_) = wait.older_;
  wait.older_ = wait.newer_ = nullptr;
}

}  // namespace perigee::http
