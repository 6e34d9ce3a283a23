#include "engine/kv_cache.h"

#include <algorithm>

#include "hashing/token_blocks.h"

namespace kvasir {

KvCache::KvCache(uint32_t blocks, uint32_t block_size, bool prefix_caching)
    : block_size_(block_size), prefix_caching_(prefix_caching), pool_(blocks) {}

void KvCache::start(Sequence& sequence, const std::vector<TokenId>& prompt, uint64_t salt) const {
  if (!prefix_caching_) return;
  sequence.hashes = hash_token_blocks(prompt, salt, block_size_);
  sequence.root = token_root(salt);
  const size_t hashed = sequence.hashes.size() * block_size_;
  sequence.tail.reserve(block_size_);
  sequence.tail.assign(prompt.begin() + static_cast<ptrdiff_t>(hashed), prompt.end());
}

void KvCache::append(Sequence& sequence, TokenId token) const {
  if (!prefix_caching_) return;
  sequence.tail.push_back(token);
  if (sequence.tail.size() < block_size_) return;
  const BlockHash parent = sequence.hashes.empty() ? sequence.root : sequence.hashes.back();
  sequence.hashes.push_back(hash_token_block(parent, sequence.tail));
  sequence.tail.clear();
}

// The last token is never looked up: computing it gives the next one.
void KvCache::find_prefix(const Sequence& sequence) {
  prefix_.clear();
  const size_t blocks_max = (sequence.tokens() - 1) / block_size_;
  for (size_t i = 0; i < std::min(blocks_max, sequence.hashes.size()); ++i) {
    const uint32_t block = pool_.find(sequence.hashes[i]);
    if (block == kNoBlock) return;
    prefix_.push_back(block);
  }
}

bool KvCache::admit(Sequence& sequence, uint32_t budget) {
  if (pool_.free_count() == 0)
    return false;  // without the lookup: it would need a block in any case
  find_prefix(sequence);
  const auto hit = static_cast<uint32_t>(prefix_.size());
  const uint32_t tokens = std::min(sequence.tokens() - hit * block_size_, budget);
  uint32_t needed = (tokens + block_size_ - 1) / block_size_;
  for (const uint32_t block : prefix_) needed += pool_.in_use(block) ? 0 : 1;
  if (needed > pool_.free_count()) return false;

  for (const uint32_t block : prefix_) pool_.share(block);
  sequence.blocks.assign(prefix_.begin(), prefix_.end());
  sequence.named_blocks = hit;
  sequence.computed = hit * block_size_;
  return grow(sequence, tokens);
}

bool KvCache::grow(Sequence& sequence, uint32_t tokens) {
  const uint64_t target = uint64_t{sequence.computed} + tokens;
  if (target > sequence.blocks.size() * block_size_) {
    const uint64_t missing = (target + block_size_ - 1) / block_size_ - sequence.blocks.size();
    if (missing > pool_.free_count()) return false;
    for (uint64_t i = 0; i < missing; ++i) sequence.blocks.push_back(pool_.take());
  }
  sequence.scheduled = tokens;
  if (prefix_caching_) name_full_blocks(sequence, static_cast<uint32_t>(target));
  return true;
}

void KvCache::name_full_blocks(Sequence& sequence, uint32_t tokens) {
  while ((sequence.named_blocks + 1) * block_size_ <= tokens) {
    pool_.name(sequence.blocks[sequence.named_blocks], sequence.hashes[sequence.named_blocks]);
    ++sequence.named_blocks;
  }
}

void KvCache::release(Sequence& sequence) {
  for (auto block = sequence.blocks.rbegin(); block != sequence.blocks.rend(); ++block) {
    pool_.release(*block);
  }
  sequence.blocks.clear();
  sequence.named_blocks = 0;
  sequence.computed = 0;
  sequence.scheduled = 0;
}

bool KvCache::forget_prefixes() {
  if (pool_.free_count() != pool_.size()) return false;
  pool_.forget_hashes();
  return true;
}

}  // namespace kvasir
