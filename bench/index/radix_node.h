// A node of the concurrent radix tree: one block, its children by hash, its holders, a lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "index/word_map.h"
#include "model/block_hash.h"

namespace kvasir {

// Readers share it, one writer excludes them. Four bytes, as in the trees of the field.
class SpinningRwLock {
 public:
  void lock_shared() {
    for (;;) {
      uint32_t state = state_.load(std::memory_order_relaxed);
      if ((state & kWriter) == 0 &&
          state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) {
        return;
      }
      __builtin_ia32_pause();
    }
  }
  void unlock_shared() { state_.fetch_sub(1, std::memory_order_release); }
  void lock() {
    uint32_t nobody = 0;
    while (!state_.compare_exchange_weak(nobody, kWriter, std::memory_order_acquire)) {
      nobody = 0;
      __builtin_ia32_pause();
    }
  }
  void unlock() { state_.store(0, std::memory_order_release); }

 private:
  static constexpr uint32_t kWriter = uint32_t{1} << 31;
  std::atomic<uint32_t> state_{0};
};

// Numbers of holders, ascending: up to three in place.
class FewHolders {
 public:
  FewHolders() = default;
  ~FewHolders() {
    if (count_ > kInPlace) delete many_;
  }
  FewHolders(const FewHolders&) = delete;
  FewHolders& operator=(const FewHolders&) = delete;

  size_t size() const { return count_; }
  const uint32_t* begin() const { return count_ > kInPlace ? many_->data() : few_; }
  const uint32_t* end() const { return begin() + count_; }
  bool contains(uint32_t holder) const { return std::binary_search(begin(), end(), holder); }

  void add(uint32_t holder) {
    if (count_ < kInPlace) {
      uint32_t* place = std::lower_bound(few_, few_ + count_, holder);
      std::copy_backward(place, few_ + count_, few_ + count_ + 1);
      *place = holder;
    } else {
      if (count_ == kInPlace) many_ = new std::vector<uint32_t>(few_, few_ + count_);
      many_->insert(std::lower_bound(many_->begin(), many_->end(), holder), holder);
    }
    ++count_;
  }
  void remove(uint32_t holder) {
    if (count_ <= kInPlace) {
      uint32_t* place = std::lower_bound(few_, few_ + count_, holder);
      std::copy(place + 1, few_ + count_, place);
    } else {
      many_->erase(std::lower_bound(many_->begin(), many_->end(), holder));
      if (count_ == kInPlace + 1) {
        const std::unique_ptr<std::vector<uint32_t>> many(many_);
        std::copy(many->begin(), many->end(), few_);
      }
    }
    --count_;
  }

 private:
  static constexpr uint32_t kInPlace = 3;
  uint32_t count_ = 0;
  union {
    uint32_t few_[kInPlace] = {};
    std::vector<uint32_t>* many_;
  } __attribute__((packed, aligned(4)));
};

// Fields are guarded by `lock` against readers; one thread changes them.
struct RadixNode {
  using Children = WordMap<RadixNode*>;

  RadixNode(BlockHash block_hash, RadixNode* parent_node) : hash(block_hash), parent(parent_node) {}
  ~RadixNode() { delete children; }
  RadixNode(const RadixNode&) = delete;
  RadixNode& operator=(const RadixNode&) = delete;

  RadixNode* child(BlockHash block) const {
    if (only_child) return only_child->hash == block ? only_child : nullptr;
    if (!children) return nullptr;
    RadixNode* const* found = children->find(block);
    return found ? *found : nullptr;
  }
  void add_child(RadixNode* node) {
    if (!only_child && !children) {
      only_child = node;
      return;
    }
    if (!children) {
      children = new Children;
      children->at(only_child->hash) = only_child;
      only_child = nullptr;
    }
    children->at(node->hash) = node;
  }
  void remove_child(RadixNode* node) {
    if (only_child) {
      only_child = nullptr;
    } else {
      children->erase(node->hash);
    }
  }
  bool has_children() const { return only_child || (children && children->size() > 0); }

  const BlockHash hash;
  RadixNode* const parent;
  RadixNode* only_child = nullptr;  // most have one; else:
  Children* children = nullptr;
  FewHolders holders;
  mutable SpinningRwLock lock;
};

}  // namespace kvasir
