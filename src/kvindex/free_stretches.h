// Which stretches of an array are given out: the first that is large enough is taken, and what is
// given back is joined with what is free around it. Meant for few and large ones. Not thread-safe.
#pragma once

#include <cstddef>
#include <iterator>
#include <map>

namespace kvasir {

class FreeStretches {
 public:
  // Nothing is given out from there on.
  size_t end() const { return end_; }

  // Where the `count` elements begin. Precondition: count > 0.
  size_t take(size_t count) {
    for (auto stretch = free_.begin(); stretch != free_.end(); ++stretch) {
      const auto [first, size] = *stretch;
      if (size < count) continue;
      free_.erase(stretch);
      if (size > count) free_.emplace(first + count, size - count);
      return first;
    }
    const size_t first = end_;
    end_ += count;
    return first;
  }
  void give(size_t first, size_t count) {
    auto after = free_.lower_bound(first);
    if (after != free_.end() && after->first == first + count) {
      count += after->second;
      after = free_.erase(after);
    }
    if (after != free_.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == first) {
        first = before->first;
        count += before->second;
        free_.erase(before);
      }
    }
    if (first + count == end_) {
      end_ = first;
    } else {
      free_.emplace(first, count);
    }
  }

 private:
  std::map<size_t, size_t> free_;  // where they begin -> how long they are
  size_t end_ = 0;
};

}  // namespace kvasir
