// Whether another KV-cache manager of the same fleet knows the same, pod by pod. Events reach the
// two at different moments, so a pod counts as different only when it was so in two comparisons in
// a row, and its difference cannot be one of time: both had heard the same last event, or neither
// heard anything in between. On one thread.
#pragma once

#include <set>
#include <string>

#include "wire/kv_digest.h"

namespace kvasir {

class PeerComparison {
 public:
  // Both of about the same moment. True: differing() changed.
  bool compare(const KvDigests& mine, const KvDigests& theirs);
  // Pods of which the two know different things.
  const std::set<std::string>& differing() const { return differing_; }
  // Of the last comparison: pods that were equal or different for sure.
  size_t compared() const { return compared_; }
  // Of the last comparison: pods that either of the two knows.
  size_t pods() const { return pods_; }

 private:
  KvDigests mine_;
  KvDigests theirs_;
  std::set<std::string> differing_;
  std::set<std::string>
      suspected_;  // different for sure in the last comparison, for the first time
  size_t compared_ = 0;
  size_t pods_ = 0;
};

}  // namespace kvasir
