// What a pool knows of its endpoints' caches, whatever its configuration: a prefix index for each
// block size that plugins ask for. Policies come and go, the indexes stay.
//
// Not thread-safe: the scheduler keeps it, under its mutex.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kvindex/prefix_index.h"
#include "model/prompt_view.h"

namespace kvasir {

// An index as the plugins of one policy use it; all that ask for one block size have the same. It
// begins empty; when the policy is put to work, it is the pool's from then on. So read and write it
// only in produce(), picked() and what else the scheduler calls, never while a plugin is made.
class SharedPrefixIndex {
 public:
  SharedPrefixIndex(BlockSize block, size_t endpoints);
  SharedPrefixIndex(const SharedPrefixIndex&) = delete;
  SharedPrefixIndex& operator=(const SharedPrefixIndex&) = delete;

  BlockSize block() const { return block_; }
  size_t endpoints() const { return endpoints_; }
  PrefixIndex* operator->() const { return index_.get(); }

  // For PoolKnowledge.
  const std::shared_ptr<PrefixIndex>& index() const { return index_; }
  void become(std::shared_ptr<PrefixIndex> known) { index_ = std::move(known); }

 private:
  const BlockSize block_;
  const size_t endpoints_;
  std::shared_ptr<PrefixIndex> index_;
};

class PoolKnowledge {
 public:
  // A policy that uses these indexes is put to work, in place of the one before. Each becomes what
  // is known in its block size; what is not known yet is from now on. Of the rest that is kept
  // which the policy before used: so a change that is taken back costs nothing.
  void share(std::span<SharedPrefixIndex* const> used);

  // The slot belongs to another endpoint: forgets what was known there of indexes that are not in
  // use. Of the others the policy forgets it.
  void endpoint_replaced(EndpointId endpoint);

  // Its engine forgot what it held: so do all indexes.
  void forget(EndpointId endpoint);

  // How many indexes there are, in use or not.
  size_t indexes() const { return known_.size(); }

 private:
  struct Known {
    BlockSize block;
    size_t endpoints;
    std::shared_ptr<PrefixIndex> index;
    bool used = true;  // by the policy that works
  };

  std::vector<Known> known_;
};

}  // namespace kvasir
