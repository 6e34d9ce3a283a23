// Notices when a file says something else than it did. Whoever has one looks at it again and again,
// which also sees what a Kubernetes ConfigMap does: it swaps a symbolic link.
//
// A file that is being written is not told half: new content counts when two looks in a row found
// it. Content is compared by a hash. Not thread-safe.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

class SettledFile {
 public:
  SettledFile(std::string path, size_t bytes_max);

  // What the file is known to say; unless this is called, nothing is.
  void know(std::string_view content);
  // What it says now, when that is new and settled, or why it cannot be read; the same trouble is
  // told once. nullopt: nothing new.
  std::optional<Result<std::string>> look();
  // The last look found something new: look again soon.
  bool unsettled() const { return unsettled_.has_value(); }
  bool readable() const { return trouble_.empty(); }  // at the last look
  const std::string& path() const { return path_; }

 private:
  bool moved();

  const std::string path_;
  const size_t bytes_max_;
  std::optional<uint64_t> known_;      // hash of what was told last
  std::optional<uint64_t> unsettled_;  // of other content, seen once
  std::string trouble_;
  struct stat seen_ {};
};

}  // namespace kvasir
