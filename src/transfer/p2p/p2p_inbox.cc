#include "transfer/p2p/p2p_inbox.h"

#include <utility>

namespace kvasir {

std::shared_ptr<P2pTensor> P2pInbox::reserve(const std::string& request, uint32_t first,
                                             uint32_t count, BlockHash last_block, size_t bytes,
                                             TimePoint now) {
  Request* const of = touch(request, now);
  if (of == nullptr) return nullptr;
  if (const auto former = of->tensors.find(first); former != of->tensors.end()) {
    bytes_ -= former->second->size;
    of->tensors.erase(former);
  }
  if (bytes > limits_.bytes_max - bytes_ || of->tensors.size() >= limits_.tensors_max) {
    of->failed = true;
    return nullptr;
  }
  auto tensor = std::make_shared<P2pTensor>();
  tensor->first = first;
  tensor->count = count;
  tensor->last_block = last_block;
  tensor->size = bytes;
  bytes_ += bytes;
  of->tensors.emplace(first, tensor);
  return tensor;
}

std::span<std::byte> P2pInbox::open(P2pTensor& tensor) {
  if (!spares_.empty()) {
    tensor.bytes = std::move(spares_.back());
    spares_.pop_back();
    spare_bytes_ -= tensor.bytes.capacity();
  }
  tensor.bytes.resize(tensor.size);
  return tensor.bytes;
}

void P2pInbox::take(P2pTensor& tensor) {
  tensor.taken = true;
  std::vector<std::byte> bytes = std::exchange(tensor.bytes, {});
  if (bytes.capacity() > limits_.spare_bytes_max - spare_bytes_) return;
  spare_bytes_ += bytes.capacity();
  spares_.push_back(std::move(bytes));
}

void P2pInbox::fail(const std::string& request, TimePoint now) {
  if (Request* const of = touch(request, now)) of->failed = true;
}

bool P2pInbox::remove(const std::string& request, size_t blocks) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return false;
  size_t announced = 0;
  for (const auto& [first, tensor] : found->second.tensors) announced += tensor->count;
  bytes_ -= bytes_of(found->second);
  requests_.erase(found);
  return announced >= blocks;
}

size_t P2pInbox::remove_older(TimePoint before) {
  size_t removed = 0;
  for (auto request = requests_.begin(); request != requests_.end();) {
    if (request->second.touched >= before) {
      ++request;
      continue;
    }
    bytes_ -= bytes_of(request->second);
    request = requests_.erase(request);
    ++removed;
  }
  return removed;
}

P2pInbox::Found P2pInbox::find(const std::string& request, uint32_t first, uint32_t count) const {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return {true, {}};
  Found blocks;
  uint32_t next = first;
  for (const auto& [begin, tensor] : found->second.tensors) {
    const uint32_t end = begin + tensor->count;
    if (end <= next || next >= first + count) continue;
    if (begin > next || tensor->taken) break;
    if (!tensor->whole) {
      // It may still come, whatever became of the others.
      blocks.waits = !tensor->failed;
      return blocks;
    }
    blocks.tensors.push_back(tensor);
    next = end;
  }
  blocks.waits = next < first + count && !found->second.failed;
  return blocks;
}

// nullptr: there are too many.
P2pInbox::Request* P2pInbox::touch(const std::string& request, TimePoint now) {
  auto found = requests_.find(request);
  if (found == requests_.end()) {
    if (requests_.size() >= limits_.requests_max) return nullptr;
    found = requests_.emplace(request, Request{}).first;
  }
  found->second.touched = now;
  return &found->second;
}

uint64_t P2pInbox::bytes_of(const Request& request) const {
  uint64_t bytes = 0;
  for (const auto& [first, tensor] : request.tensors) bytes += tensor->size;
  return bytes;
}

}  // namespace kvasir
