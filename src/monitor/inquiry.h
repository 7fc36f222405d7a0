// Inquiry: a question to the guest that is answered by a message of its own, asked by anyone on the
// monitor's socket. Askers who come while one is under way share its answer; a guest that does not
// answer in time costs an `unavailable`. Owned by Monitor; one loop.
#pragma once

#include <cstdint>
#include <utility>

#include "async/combine.h"
#include "async/event.h"
#include "channel/codec.h"
#include "monitor/guest_link.h"
#include "sys/host.h"

namespace perigee::monitor {

inline constexpr Duration kInquiryPatience = 3s;

template <typename Answer>
class Inquiry {
 public:
  Inquiry(async::Loop& loop, channel::Topic topic) : loop_(loop), topic_(topic), arrived_(loop) {}

  async::Task<Result<Answer>> ask(GuestLink& link) {
    const std::uint64_t seen = answers_;
    if (asked_at_ != seen) {
      CO_TRY_VOID(link.send(channel::encode(channel::Inquire{topic_})));
      asked_at_ = seen;
    }
    auto answer = co_await async::with_deadline(loop_, loop_.deadline_in(kInquiryPatience),
                                                answer_beyond(seen), "the guest");
    if (!answer) {
      asked_at_ = kNotAsked;
      co_return fail(Code::unavailable, "{}", answer.error().context);
    }
    co_return answer;
  }

  void answered(Answer answer) {
    last_ = std::move(answer);
    ++answers_;
    arrived_.notify_all();
  }

 private:
  static constexpr std::uint64_t kNotAsked = ~std::uint64_t{0};

  async::Task<Result<Answer>> answer_beyond(std::uint64_t seen) {
    while (answers_ == seen) co_await arrived_.wait();
    co_return last_;
  }

  async::Loop& loop_;
  channel::Topic topic_;
  async::Notify arrived_;
  Answer last_;
  std::uint64_t answers_ = 0;
  std::uint64_t asked_at_ = kNotAsked;  // value of `answers_` when the open question was sent
};

}  // namespace perigee::monitor
