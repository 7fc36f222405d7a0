// SharedMap: names to values, of which copies share all that does not differ: a copy with one
// change costs the same however much there is. What two of them differ in is found as quickly.
// Copies belong to one thread, as their counts of use do.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace perigee::routing {

template <typename T>
class SharedMap {
 public:
  const T* find(std::string_view key) const {
    const auto& bucket = buckets_[index_of(key)];
    if (!bucket) return nullptr;
    const auto found = bucket->find(key);
    return found == bucket->end() ? nullptr : &found->second;
  }
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void set(const std::string& key, T value) {
    const bool added = own(key).insert_or_assign(key, std::move(value)).second;
    size_ += added ? 1 : 0;
  }
  void erase(const std::string& key) {
    if (contains(key)) size_ -= own(key).erase(key);
  }

  // In no order that means anything.
  template <typename F>
  void for_each(F visit) const {
    for (const auto& bucket : buckets_) {
      if (!bucket) continue;
      for (const auto& [key, value] : *bucket) visit(key, value);
    }
  }

  // What is not the same in both: visit(key, before, after), null where it is not there.
  template <typename F>
  static void differences(const SharedMap& before, const SharedMap& after, F visit) {
    for (std::size_t i = 0; i < kBuckets; ++i) {
      if (before.buckets_[i] == after.buckets_[i]) continue;
      static const Bucket kNone;
      const Bucket& old = before.buckets_[i] ? *before.buckets_[i] : kNone;
      const Bucket& now = after.buckets_[i] ? *after.buckets_[i] : kNone;
      for (const auto& [key, value] : old) {
        const auto found = now.find(key);
        if (found == now.end()) {
          visit(key, &value, static_cast<const T*>(nullptr));
        } else if (found->second != value) {
          visit(key, &value, &found->second);
        }
      }
      for (const auto& [key, value] : now) {
        if (!old.contains(key)) visit(key, static_cast<const T*>(nullptr), &value);
      }
    }
  }

 private:
  static constexpr std::size_t kBuckets = 256;
  using Bucket = std::map<std::string, T, std::less<>>;

  static std::size_t index_of(std::string_view key) {
    return std::hash<std::string_view>{}(key) % kBuckets;
  }
  // The key's bucket, shared with no other copy.
  Bucket& own(std::string_view key) {
    std::shared_ptr<Bucket>& bucket = buckets_[index_of(key)];
    if (!bucket) bucket = std::make_shared<Bucket>();
    if (bucket.use_count() > 1) bucket = std::make_shared<Bucket>(*bucket);
    return *bucket;
  }

  std::array<std::shared_ptr<Bucket>, kBuckets> buckets_;
  std::size_t size_ = 0;
};

}  // namespace perigee::routing
