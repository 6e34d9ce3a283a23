#include "engine/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/random.h"
#include "hashing/token_blocks.h"

namespace kvasir {
namespace {

void copy(std::span<const std::byte> from, std::span<std::byte> to) {
  std::memcpy(to.data(), from.data(), to.size());
}

}  // namespace

KvCache::KvCache(const KvCacheOptions& options)
    : options_(options),
      hashes_(options.prefix_caching || options.memory),
      block_size_(options.block_size),
      pool_(options.blocks),
      cpu_(options.prefix_caching ? options.cpu_blocks : 0,
           options.memory ? options.memory->layout().block_bytes() : 0) {
  KVASIR_ASSERT(!options.memory || options.memory->blocks() >= options.blocks,
                "every block has bytes");
}

void KvCache::start(Sequence& sequence, std::vector<TokenId> prompt, uint64_t salt) const {
  if (!hashes_) return;
  sequence.hashes = hash_token_blocks(prompt, salt, block_size_);
  sequence.root = token_root(salt);
  const size_t hashed = sequence.hashes.size() * block_size_;
  sequence.tail.reserve(block_size_);
  sequence.tail.assign(prompt.begin() + static_cast<ptrdiff_t>(hashed), prompt.end());
  if (options_.events != nullptr) sequence.told = std::move(prompt);
}

void KvCache::append(Sequence& sequence, TokenId token) const {
  if (!hashes_) return;
  if (options_.events != nullptr) sequence.told.push_back(token);
  sequence.tail.push_back(token);
  if (sequence.tail.size() < block_size_) return;
  const BlockHash parent = sequence.hashes.empty() ? sequence.root : sequence.hashes.back();
  sequence.hashes.push_back(hash_token_block(parent, sequence.tail));
  sequence.tail.clear();
}

// The last token is never looked up: computing it gives the next one.
void KvCache::find_prefix(const Sequence& sequence) {
  prefix_.clear();
  prefix_on_cpu_ = 0;
  const size_t blocks_max = (sequence.tokens() - 1) / block_size_;
  for (size_t i = 0; i < std::min(blocks_max, sequence.hashes.size()); ++i) {
    const uint32_t block = pool_.find(sequence.hashes[i]);
    if (block == kNoBlock) {
      if (cpu_.size() == 0 || !cpu_.holds(sequence.hashes[i])) return;
      ++prefix_on_cpu_;
    }
    prefix_.push_back(block);
  }
}

bool KvCache::admit(Sequence& sequence, uint32_t budget) {
  if (!sequence.blocks.empty()) {
    return grow(sequence, std::min(sequence.tokens() - sequence.computed, budget));
  }
  if (pool_.free_count() == 0)
    return false;  // without the lookup: it would need a block in any case
  find_prefix(sequence);
  const auto hit = static_cast<uint32_t>(prefix_.size());
  const uint32_t tokens = std::min(sequence.tokens() - hit * block_size_, budget);
  if (!room_for((tokens + block_size_ - 1) / block_size_)) return false;
  hold_prefix(sequence);
  return grow(sequence, tokens);
}

// Whether the prefix that was found and `others` new blocks can be held.
bool KvCache::room_for(uint32_t others) const {
  uint32_t needed = others + prefix_on_cpu_;
  for (const uint32_t block : prefix_) {
    needed += block == kNoBlock || pool_.in_use(block) ? 0 : 1;
  }
  return needed <= pool_.free_count();
}

bool KvCache::make_room(Sequence& sequence) {
  find_prefix(sequence);
  const auto hit = static_cast<uint32_t>(prefix_.size());
  if (hit >= sequence.remote_end) return true;
  if (!room_for(sequence.remote_end - hit)) return false;
  hold_prefix(sequence);
  while (sequence.blocks.size() < sequence.remote_end) sequence.blocks.push_back(take_block());
  sequence.remote_first = hit;
  sequence.remote = RemoteBlocks::kAwaited;
  return true;
}

void KvCache::arriving(Sequence& sequence) const {
  sequence.remote = RemoteBlocks::kArriving;
  sequence.external_tokens = (sequence.remote_end - sequence.remote_first) * block_size_;
  sequence.computed = sequence.remote_end * block_size_;
}

// A step that computes what has not come computes nothing.
void KvCache::arrived(Sequence& sequence, uint32_t count) {
  count = std::min(count, sequence.remote_end - sequence.remote_first);
  sequence.arrived_end = sequence.remote_first + count;
  sequence.external_tokens = count * block_size_;
  sequence.computed = sequence.arrived_end * block_size_;
  if (sequence.arrived_end < sequence.remote_end) sequence.scheduled = 0;
  sequence.remote = RemoteBlocks::kNone;
  name_full_blocks(sequence, sequence.computed + sequence.scheduled);
}

// The blocks of the GPU are shared before others are taken for those of the CPU: taking could evict
// them.
void KvCache::hold_prefix(Sequence& sequence) {
  for (const uint32_t block : prefix_) {
    if (block != kNoBlock) pool_.share(block);
  }
  sequence.blocks.assign(prefix_.begin(), prefix_.end());
  sequence.named_blocks = static_cast<uint32_t>(prefix_.size());
  sequence.computed = sequence.named_blocks * block_size_;
  sequence.loaded = prefix_on_cpu_ * block_size_;
  if (prefix_on_cpu_ > 0) load_from_cpu(sequence);
}

// All bytes are read before any block is taken: taking sends others to the CPU tier, where they may
// push out what is being loaded.
void KvCache::load_from_cpu(Sequence& sequence) {
  from_cpu_.clear();
  for (uint32_t i = 0; i < prefix_.size() && options_.memory; ++i) {
    if (prefix_[i] != kNoBlock) continue;
    const std::span<const std::byte> bytes = cpu_.bytes(sequence.hashes[i]);
    from_cpu_.insert(from_cpu_.end(), bytes.begin(), bytes.end());
  }
  size_t read = 0;
  for (uint32_t first = 0; first < sequence.named_blocks; ++first) {
    uint32_t end = first;
    for (; end < sequence.named_blocks && sequence.blocks[end] == kNoBlock; ++end) {
      cpu_.touch(sequence.hashes[end]);
      sequence.blocks[end] = take_block();
      pool_.name(sequence.blocks[end], sequence.hashes[end]);
      if (options_.memory) {
        const std::span<std::byte> block = options_.memory->block(sequence.blocks[end]);
        copy(std::span(from_cpu_).subspan(read), block);
        read += block.size();
      }
    }
    if (end == first) continue;
    tell_stored(sequence, first, end);
    first = end;
  }
}

bool KvCache::grow(Sequence& sequence, uint32_t tokens) {
  const uint64_t target = uint64_t{sequence.computed} + tokens;
  if (target > sequence.blocks.size() * block_size_) {
    const uint64_t missing = (target + block_size_ - 1) / block_size_ - sequence.blocks.size();
    if (missing > pool_.free_count()) return false;
    for (uint64_t i = 0; i < missing; ++i) sequence.blocks.push_back(take_block());
  }
  sequence.scheduled = tokens;
  if (hashes_ && sequence.remote != RemoteBlocks::kArriving) {
    name_full_blocks(sequence, static_cast<uint32_t>(target));
  }
  return true;
}

uint32_t KvCache::take_block() {
  const std::optional<BlockHash> forgotten = pool_.next_forgotten();
  const uint32_t block = pool_.take();
  if (forgotten) on_evicted(*forgotten, block);
  return block;
}

// A block is told of in its new tier before it leaves the old one: so an index never loses sight of
// it.
void KvCache::on_evicted(BlockHash hash, uint32_t block) {
  if (cpu_.capacity() > 0 && pool_.find(hash) == kNoBlock) keep_on_cpu(hash, block);
  tell_removed(hash, KvMedium::kGpu);
}

void KvCache::keep_on_cpu(BlockHash hash, uint32_t block) {
  if (cpu_.holds(hash)) return cpu_.touch(hash);
  if (const auto evicted = cpu_.next_evicted()) tell_removed(*evicted, KvMedium::kCpu);
  const std::span<std::byte> bytes = cpu_.insert(hash);
  if (options_.memory) copy(options_.memory->block(block), bytes);
  tell_kept_on_cpu(hash);
}

void KvCache::name_full_blocks(Sequence& sequence, uint32_t tokens) {
  const uint32_t first = sequence.named_blocks;
  for (uint32_t& at = sequence.named_blocks; (at + 1) * block_size_ <= tokens; ++at) {
    const uint32_t block = sequence.blocks[at];
    if (options_.memory && at >= sequence.arrived_end) {
      fill_kv_block(sequence.hashes[at], options_.memory->block(block));
    }
    if (options_.prefix_caching) pool_.name(block, sequence.hashes[at]);
  }
  if (sequence.named_blocks > first) tell_stored(sequence, first, sequence.named_blocks);
}

// The sequence's blocks from `first` up to `end` hold their tokens now.
void KvCache::tell_stored(const Sequence& sequence, uint32_t first, uint32_t end) {
  if (options_.events == nullptr || !options_.prefix_caching) return;
  KvBlocksStored stored;
  stored.block_hashes = std::span(sequence.hashes).subspan(first, end - first);
  if (first > 0) stored.parent_block_hash = sequence.hashes[first - 1];
  stored.token_ids = std::span(sequence.told)
                         .subspan(size_t{first} * block_size_, size_t{end - first} * block_size_);
  stored.block_size = block_size_;
  stored.lora_name = sequence.adapter;
  if (first == 0) stored.cache_salt = sequence.salt_text;
  options_.events->on_stored(stored);
}

// vLLM's offloading knows no tokens: only the block's name is told.
void KvCache::tell_kept_on_cpu(BlockHash hash) {
  if (options_.events == nullptr) return;
  KvBlocksStored stored;
  stored.block_hashes = std::span(&hash, 1);
  stored.block_size = block_size_;
  stored.medium = KvMedium::kCpu;
  options_.events->on_stored(stored);
}

void KvCache::tell_removed(BlockHash hash, KvMedium medium) {
  if (options_.events == nullptr) return;
  options_.events->on_removed({.block_hashes = std::span(&hash, 1), .medium = medium});
}

void KvCache::release(Sequence& sequence) {
  for (auto block = sequence.blocks.rbegin(); block != sequence.blocks.rend(); ++block) {
    pool_.release(*block);
  }
  sequence.blocks.clear();
  sequence.named_blocks = 0;
  sequence.computed = 0;
  sequence.scheduled = 0;
  sequence.arrived_end = 0;
  sequence.fold = 0;
  sequence.folded_blocks = 0;
}

KeptBlocks KvCache::keep(Sequence& sequence) const {
  const auto full = static_cast<ptrdiff_t>(sequence.prompt_tokens / block_size_);
  KeptBlocks kept;
  kept.blocks.assign(sequence.blocks.begin(), sequence.blocks.begin() + full);
  sequence.blocks.erase(sequence.blocks.begin(), sequence.blocks.begin() + full);
  if (hashes_) kept.hashes.assign(sequence.hashes.begin(), sequence.hashes.begin() + full);
  return kept;
}

void KvCache::release(const KeptBlocks& kept) {
  for (auto block = kept.blocks.rbegin(); block != kept.blocks.rend(); ++block) {
    pool_.release(*block);
  }
}

void KvCache::fold(Sequence& sequence) const {
  for (uint32_t& at = sequence.folded_blocks; (at + 1) * block_size_ <= sequence.computed; ++at) {
    const std::span<const std::byte> block = options_.memory->block(sequence.blocks[at]);
    sequence.fold = mix64(sequence.fold ^ kv_block_digest(block));
  }
}

uint64_t KvCache::read_state(const Sequence& sequence) const {
  if (sequence.folded_blocks == 0) return sequence.fold;
  const uint32_t again = sequence.blocks[sequence.generated % sequence.folded_blocks];
  return mix64(sequence.fold) ^ kv_block_digest(options_.memory->block(again));
}

bool KvCache::forget_prefixes() {
  if (pool_.free_count() != pool_.size()) return false;
  pool_.forget_hashes();
  cpu_.clear();
  if (options_.events != nullptr) options_.events->on_all_cleared();
  return true;
}

}  // namespace kvasir
