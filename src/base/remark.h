// Something said about one line of a file: an error, a warning, or a note on how the line was
// understood.
#pragma once

#include <string>
#include <vector>

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

// One a line.
inline std::string to_string(const std::vector<Remark>& remarks) {
  std::string text;
  for (const Remark& remark : remarks) {
    text.append(text.empty() ? "" : "\n").append(to_string(remark));
  }
  return text;
}

inline void append(std::vector<Remark>& all, const std::vector<Remark>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace kvasir
