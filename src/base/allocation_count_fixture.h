// For benchmarks: counts what goes through operator new. It replaces the program's own, so one source
// file of a program includes it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace kvasir {

inline std::atomic<uint64_t> allocations{0};

}  // namespace kvasir

[[gnu::noinline]] void* operator new(size_t size) {
  kvasir::allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
