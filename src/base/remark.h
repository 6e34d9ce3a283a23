// Something said about one line of a file: an error, a warning, or a note on how the line was
// understood.
#pragma once

#include <string>

namespace kvasir {

struct Remark {
  int line = 0;  // from 1; 0: about no line in particular
  std::string text;

  bool operator==(const Remark&) const = default;
};

// "line 12: text", or the text alone.
inline std::string to_string(const Remark& remark) {
  return remark.line > 0 ? "line " + std::to_string(remark.line) + ": " + remark.text : remark.text;
}

}  // namespace kvasir
