#include "kvmanager/peer_comparison.h"

namespace kvasir {
namespace {

KvDigest digest_in(const KvDigests& pods, const std::string& pod) {
  const auto found = pods.find(pod);
  return found == pods.end() ? KvDigest{} : found->second;
}

bool same_blocks(const KvDigest& a, const KvDigest& b) {
  return a.digest == b.digest && a.blocks == b.blocks;
}

}  // namespace

bool PeerComparison::compare(const KvDigests& mine, const KvDigests& theirs) {
  std::set<std::string> pods;
  for (const auto& [pod, digest] : mine) pods.insert(pod);
  for (const auto& [pod, digest] : theirs) pods.insert(pod);
  const std::set<std::string> before = differing_;
  std::set<std::string> suspected;
  compared_ = 0;
  pods_ = pods.size();
  for (const std::string& pod : pods) {
    const KvDigest here = digest_in(mine, pod);
    const KvDigest there = digest_in(theirs, pod);
    if (same_blocks(here, there)) {
      ++compared_;
      differing_.erase(pod);
      continue;
    }
    const bool quiet = here == digest_in(mine_, pod) && there == digest_in(theirs_, pod);
    if (here.stamp != there.stamp && !quiet) continue;  // one has heard more: no verdict
    ++compared_;
    if (quiet || suspected_.contains(pod)) differing_.insert(pod);
    suspected.insert(pod);
  }
  std::erase_if(differing_, [&](const std::string& pod) { return !pods.contains(pod); });
  suspected_ = std::move(suspected);
  mine_ = mine;
  theirs_ = theirs;
  return differing_ != before;
}

}  // namespace kvasir
