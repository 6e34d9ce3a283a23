// A prompt against the index, on any thread. No lock: what was read of a run counts only if its
// version was even before and is the same afterwards.
#include <algorithm>
#include <thread>

#include "kvindex/chain_index.h"

namespace kvasir {

// A match as it goes on. Of each thread there is one, for the sake of its memory.
struct ChainIndex::Matching {
  struct Covered {
    uint32_t holder = 0;
    CacheTier tier{};
    uint32_t blocks = 0;
  };
  struct Candidate {
    uint32_t match = 0;                           // in `matches`
    std::array<uint32_t, kCacheTiers> covered{};  // in this run, by tier
  };

  std::vector<Covered> covered;        // of the run that was read last
  uint32_t equal = 0;                  // its blocks that are the prompt's
  std::vector<Candidate> candidates;   // who has all that was matched so far
  std::vector<uint32_t> candidate_of;  // by holder: 1 + its place among them; 0: none

  Candidate& candidate(uint32_t holder) { return candidates[candidate_of[holder] - 1]; }
  void begin(std::vector<HolderMatch>& matches);
  bool advance(size_t position, std::vector<HolderMatch>& matches);
  void end(const std::vector<HolderMatch>& matches);
};

namespace {

// How often a run is read again while the writer changes it. Then it counts as not there.
constexpr int kReadsMax = 1000;

}  // namespace

void ChainIndex::match(BlockChain& prompt, std::vector<HolderMatch>& matches) const {
  thread_local Matching matching;
  matches.clear();
  matching.candidates.clear();
  for (size_t position = 0; position < prompt.blocks(); position += matching.equal) {
    const uint32_t run = runs_.find(prompt.at_least(position + 1)[position]);
    if (run == kNone || !match_run(run, prompt, position, matching)) break;
    if (position == 0) matching.begin(matches);
    if (!matching.advance(position, matches)) break;
  }
  matching.end(matches);
}

// Every holder in the first run is a candidate.
void ChainIndex::Matching::begin(std::vector<HolderMatch>& matches) {
  for (const Covered& of : covered) {
    if (candidate_of.size() <= of.holder) candidate_of.resize(of.holder + size_t{1});
    if (candidate_of[of.holder] != 0) continue;
    candidates.push_back({static_cast<uint32_t>(matches.size()), {}});
    candidate_of[of.holder] = static_cast<uint32_t>(candidates.size());
    matches.push_back({HolderId{of.holder}, 0, {}});
  }
}

// Adds what candidates have of the run. Who does not have all of it is none any more. False: none
// is left.
bool ChainIndex::Matching::advance(size_t position, std::vector<HolderMatch>& matches) {
  for (const Covered& of : covered) {
    if (candidate_of.size() <= of.holder || candidate_of[of.holder] == 0) continue;
    uint32_t& blocks = candidate(of.holder).covered[static_cast<size_t>(of.tier)];
    blocks = std::max(blocks, std::min(of.blocks, equal));
  }
  size_t left = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    Candidate& one = candidates[i];
    HolderMatch& match = matches[one.match];
    for (size_t tier = 0, before = match.blocks; tier < kCacheTiers; ++tier) {
      const size_t until = std::max(before, position + one.covered[tier]);
      match.by_tier[tier] += static_cast<uint32_t>(until - before);
      before = until;
      match.blocks = static_cast<uint32_t>(until);
    }
    one.covered = {};
    const uint32_t holder = index_of(match.holder);
    if (match.blocks < position + equal) {
      candidate_of[holder] = 0;
      continue;
    }
    candidates[left++] = one;
    candidate_of[holder] = static_cast<uint32_t>(left);
  }
  candidates.resize(left);
  return left > 0;
}

void ChainIndex::Matching::end(const std::vector<HolderMatch>& matches) {
  for (const Candidate& one : candidates) candidate_of[index_of(matches[one.match].holder)] = 0;
}

// Reads who covers how much of the run, and how much of it is the prompt's from `position` on.
// False: the run is not there any more.
bool ChainIndex::match_run(uint32_t id, BlockChain& prompt, size_t position,
                           Matching& matching) const {
  constexpr auto kAcquire = std::memory_order_acquire;
  const Run& run = runs_[id];
  for (int read = 0; read < kReadsMax; ++read) {
    const uint32_t version = run.version.load(kAcquire);
    if (version % 2 != 0) {
      if (read % 16 == 15) std::this_thread::yield();
      continue;
    }
    const uint32_t first = run.first.load(kAcquire);
    const uint32_t length = run.length.load(kAcquire);
    const uint32_t members = run.members.load(kAcquire);
    const uint32_t members_at = run.members_at.load(kAcquire);
    if (run.version.load(kAcquire) != version) continue;  // else these do not belong together
    if (length == 0) return false;
    matching.equal = equal_blocks(first, length, prompt, position);
    matching.covered.clear();
    for (uint32_t i = 0; i < members; ++i) {
      const RunMember member = runs_.member(run, members_at, i);
      const std::optional<ChainSeats::Sitter> sitter = seats_.sitter(member.seat());
      if (!sitter) continue;
      matching.covered.push_back({index_of(sitter->holder), sitter->tier, member.covered()});
    }
    if (run.version.load(kAcquire) != version) continue;
    return matching.equal > 0;
  }
  return false;
}

// How many leading blocks of the run are the prompt's.
uint32_t ChainIndex::equal_blocks(uint32_t first, uint32_t length, BlockChain& prompt,
                                  size_t position) const {
  length = static_cast<uint32_t>(std::min<size_t>(length, prompt.blocks() - position));
  uint32_t equal = 0;  // so many are
  std::span<const BlockHash> hashes = prompt.at_least(position + 1);
  uint32_t unequal = length + 1;  // so many are not
  // As far as the prompt is hashed, and then a piece further while all is equal.
  while (equal < length && unequal > length) {
    if (hashes.size() <= position + equal) hashes = prompt.at_least(position + equal + 1);
    const uint32_t known =
        static_cast<uint32_t>(std::min<size_t>(hashes.size() - position, length));
    if (runs_.hash(first + known - 1) == hashes[position + known - 1]) {
      equal = known;
    } else {
      unequal = known;
    }
  }
  while (unequal <= length && unequal - equal > 1) {
    const uint32_t middle = equal + (unequal - equal) / 2;
    if (runs_.hash(first + middle - 1) == hashes[position + middle - 1]) {
      equal = middle;
    } else {
      unequal = middle;
    }
  }
  return equal;
}

}  // namespace kvasir
