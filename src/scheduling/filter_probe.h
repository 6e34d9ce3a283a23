// Hears when a filter of a scheduling profile leaves no endpoint: most often a label that no
// endpoint carries.
#pragma once

#include <string>
#include <string_view>

namespace kvasir {

class FilterProbe {
 public:
  virtual ~FilterProbe() = default;
  // `filter`: the plugin's name. `first`: of this filter and configuration; `why` may be empty.
  // Called under the scheduler's mutex, on any thread.
  virtual void on_filter_left_nobody(const std::string& filter, bool first, std::string_view why) {
    static_cast<void>(filter), static_cast<void>(first), static_cast<void>(why);
  }
};

}  // namespace kvasir
