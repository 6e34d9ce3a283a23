// What is wrong with a metrics page that could be read.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/endpoint.h"

namespace kvasir {

enum class PageProblem : uint8_t {
  kMissing,  // metrics that are wanted; who asks for them does without
  kRefused,  // a value that cannot be true; it is ignored
};

class PageProbe {
 public:
  virtual ~PageProbe() = default;
  // Told when it begins, not with every page. `what`: the metrics' names, or the value in words.
  virtual void on_page_problem(const Endpoint& endpoint, PageProblem problem,
                               std::string_view what) {
    static_cast<void>(endpoint), static_cast<void>(problem), static_cast<void>(what);
  }
};

}  // namespace kvasir
