// Memory of coroutine frames: kept by size for the next coroutine of the same thread. A request is
// some forty coroutines, most of them over in microseconds; the general allocator was a tenth of a
// router's time (./dev bench-router, h1). Under a sanitizer frames come from it all the same, so
// that a use after the end is found.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace perigee::async::detail {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kPooled = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kPooled = false;
#else
inline constexpr bool kPooled = true;
#endif
#else
inline constexpr bool kPooled = true;
#endif

class FramePool {
 public:
  static FramePool& of_thread() {
    thread_local FramePool pool;
    return pool;
  }
  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool() {
    for (Class& each : classes_) {
      while (each.free != nullptr) ::operator delete(pop(each));
    }
  }

  void* take(std::size_t size) {
    const std::size_t index = index_of(size);
    if (!kPooled || index >= kClasses) return ::operator new(size);
    Class& of = classes_[index];
    return of.free != nullptr ? pop(of) : ::operator new((index + 1) * kStep);
  }
  void give(void* frame, std::size_t size) {
    const std::size_t index = index_of(size);
    if (!kPooled || index >= kClasses || classes_[index].count >= kept(index))
      return ::operator delete(frame);
    Class& of = classes_[index];
    of.free = new (frame) Free{of.free};
    ++of.count;
  }

 private:
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kClasses = 96;            // frames of up to 6 KiB
  static constexpr std::size_t kKeptBytes = 128 * 1024;  // of a class: 12 MiB of all at most
  struct Free {
    Free* next;
  };
  struct Class {
    Free* free = nullptr;
    std::size_t count = 0;
  };
  static std::size_t kept(std::size_t index) { return kKeptBytes / ((index + 1) * kStep); }
  static std::size_t index_of(std::size_t size) { return (size - 1) / kStep; }
  static void* pop(Class& of) {
    Free* frame = of.free;
    of.free = frame->next;
    --of.count;
    return frame;
  }

  std::array<Class, kClasses> classes_;
};

}  // namespace perigee::async::detail
