// Keeps a label that clients can choose from growing without end: after so many values every new
// one is called "other". Thread-safe; meant for new values, behind a HandleTable.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace kvasir {

inline constexpr std::string_view kOtherLabel = "other";

class LabelCap {
 public:
  explicit LabelCap(size_t values_max) : values_max_(values_max) {}

  // `value`, or kOtherLabel.
  std::string_view operator()(std::string_view value) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (values_.find(value) != values_.end()) return value;
    if (values_.size() >= values_max_) return kOtherLabel;
    values_.emplace(value);
    return value;
  }

 private:
  const size_t values_max_;
  std::mutex mutex_;
  std::set<std::string, std::less<>> values_;
};

}  // namespace kvasir
