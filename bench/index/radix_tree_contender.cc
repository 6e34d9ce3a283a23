// Concurrent radix tree, re-implemented after the shape that routers of the field have: one node
// for each block, children by hash, the holders at the node, a reader-writer lock in each, and for
// each holder a map from engine hash to node. Readers walk from the root; one thread writes.
//
// Where those trees are inexact this one is not: a node stays while it has children although nobody
// holds it, so that what lies behind a hole is kept and does not count; copies are counted; and a
// lookup intersects the holders at each node. Nodes are freed by epochs, not by counting
// references.
#include <algorithm>
#include <memory>
#include <vector>

#include "hashing/token_blocks.h"
#include "index/contender.h"
#include "index/radix_node.h"
#include "index/reader_epochs.h"
#include "index/word_map.h"

namespace kvasir {
namespace {

class RadixTreeContender final : public IndexContender {
 public:
  explicit RadixTreeContender(size_t holders) : retired_(epochs_) { holders_.reserve(holders); }
  ~RadixTreeContender() override {
    retired_.free_all([](RadixNode* node) { delete node; });
    std::vector<RadixNode*> nodes;
    collect_children(root_, nodes);
    while (!nodes.empty()) {
      RadixNode* node = nodes.back();
      nodes.pop_back();
      collect_children(*node, nodes);
      delete node;
    }
  }

  HolderId add_holder() override {
    holders_.emplace_back();
    return HolderId{static_cast<uint32_t>(holders_.size() - 1)};
  }

  void store(const StoredBlocks& stored) override {
    const uint32_t number = index_of(stored.holder);
    Holder& holder = holders_[number];
    RadixNode* node = &root_;
    BlockHash hash = stored.root;
    if (stored.parent) {
      RadixNode** parent = holder.nodes.find(*stored.parent);
      if (parent == nullptr) return;
      node = *parent;
      hash = node->hash;
    }
    for (const uint64_t name : stored.engine_hashes) holder.nodes.prefetch(name);
    for (size_t i = 0; i < stored.contents.size(); ++i) {
      hash = chain_block(hash, stored.contents[i]);
      node = child_of(*node, hash);
      if (!node->holders.contains(number)) {
        node->lock.lock();
        node->holders.add(number);
        node->lock.unlock();
        holder.nodes.at(stored.engine_hashes[i]) = node;
      } else {
        ++holder.extra_copies.at(stored.engine_hashes[i]);
      }
    }
  }

  void remove(HolderId id, std::span<const uint64_t> engine_hashes) override {
    const uint32_t number = index_of(id);
    Holder& holder = holders_[number];
    for (const uint64_t name : engine_hashes) {
      RadixNode** found = holder.nodes.find(name);
      if (found == nullptr) continue;
      if (uint32_t* extra = holder.extra_copies.find(name)) {
        if (--*extra == 0) holder.extra_copies.erase(name);
        continue;
      }
      RadixNode* node = *found;
      holder.nodes.erase(name);
      leave(node, number);
    }
  }

  void clear(HolderId id) override {
    Holder left;
    std::swap(left.nodes, holders_[index_of(id)].nodes);
    holders_[index_of(id)].extra_copies.clear();
    // A node is freed with its last holder and child, and every one here still has its holder.
    left.nodes.for_each([&](uint64_t, RadixNode* node) { leave(node, index_of(id)); });
  }
  bool tidy() override { return false; }

  void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const override {
    matches.clear();
    thread_local std::vector<uint32_t> active;
    active.clear();
    const ReaderEpochs::Inside inside(epochs_);
    const auto blocks = static_cast<uint32_t>(prompt.blocks());
    if (blocks == 0) return;
    root_.lock.lock_shared();
    const RadixNode* node = root_.child(prompt.at_least(1)[0]);
    root_.lock.unlock_shared();
    for (uint32_t i = 0; node != nullptr; ++i) {
      node->lock.lock_shared();
      if (i == 0) {
        active.assign(node->holders.begin(), node->holders.end());
      } else {
        narrow(active, node->holders, i, matches);
      }
      const RadixNode* next = i + 1 < blocks ? node->child(prompt.at_least(i + 2)[i + 1]) : nullptr;
      node->lock.unlock_shared();
      if (active.empty()) return;
      if (next == nullptr) {
        for (const uint32_t holder : active) {
          matches.push_back({HolderId{holder}, i + 1, {i + 1, 0, 0}});
        }
      }
      node = next;
    }
  }

 private:
  struct Holder {
    WordMap<RadixNode*> nodes;       // by engine hash
    WordMap<uint32_t> extra_copies;  // likewise, of blocks that it has more than once
  };

  static void narrow(std::vector<uint32_t>& active, const FewHolders& holders, uint32_t depth,
                     std::vector<HolderMatch>& matches) {
    if (active.size() == holders.size() &&
        std::equal(active.begin(), active.end(), holders.begin())) {
      return;
    }
    std::erase_if(active, [&](uint32_t holder) {
      if (holders.contains(holder)) return false;
      matches.push_back({HolderId{holder}, depth, {depth, 0, 0}});
      return true;
    });
  }

  static RadixNode* child_of(RadixNode& node, BlockHash hash) {
    if (RadixNode* child = node.child(hash)) return child;
    auto* child = new RadixNode(hash, &node);
    node.lock.lock();
    node.add_child(child);
    node.lock.unlock();
    return child;
  }

  void leave(RadixNode* node, uint32_t holder) {
    node->lock.lock();
    node->holders.remove(holder);
    node->lock.unlock();
    while (node != &root_ && node->holders.size() == 0 && !node->has_children()) {
      RadixNode* parent = node->parent;
      parent->lock.lock();
      parent->remove_child(node);
      parent->lock.unlock();
      retired_.add(node, [](RadixNode* gone) { delete gone; });
      node = parent;
    }
  }

  static void collect_children(const RadixNode& node, std::vector<RadixNode*>& nodes) {
    if (node.only_child) nodes.push_back(node.only_child);
    if (node.children) {
      node.children->for_each([&](uint64_t, RadixNode* child) { nodes.push_back(child); });
    }
  }

  ReaderEpochs epochs_;
  RadixNode root_{0, nullptr};
  std::vector<Holder> holders_;
  RetiredThings<RadixNode*> retired_;
};

}  // namespace

std::unique_ptr<IndexContender> make_radix_tree_contender(size_t holders) {
  return std::make_unique<RadixTreeContender>(holders);
}

}  // namespace kvasir
