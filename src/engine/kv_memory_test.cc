#include "engine/kv_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "base/random.h"
#include "timing/engine_profile.h"

namespace kvasir {
namespace {

std::vector<std::byte> filled(BlockHash hash, size_t bytes) {
  std::vector<std::byte> block(bytes);
  fill_kv_block(hash, block);
  return block;
}

// An IEEE half-precision number.
double half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double mantissa = (bits & 1023) / 1024.0;
  const double value =
      exponent == 0 ? std::ldexp(mantissa, -14) : std::ldexp(1 + mantissa, exponent - 15);
  return exponent == 31 ? NAN : bits >> 15 ? -value : value;
}

TEST(KvLayout, IsAThousandthOfTheRealOne) {
  EngineProfile profile;
  profile.kv_bytes_per_token = 262'144;
  const KvLayout layout = KvLayout::of(profile);
  EXPECT_EQ(layout.bytes_per_token, 256u);
  EXPECT_EQ(layout.block_bytes(), 4096u);
  EXPECT_EQ(layout.slice_bytes(), 1024u);
  EXPECT_EQ(KvLayout::of(profile, 1).bytes_per_token, 262'144u);
  EXPECT_EQ(KvLayout::of(EngineProfile{}).bytes_per_token, 256u) << "a profile without bytes";
}

TEST(KvLayout, EverySliceHoldsWholeNumbers) {
  for (const uint32_t block_size : {1u, 3u, 5u, 16u, 128u}) {
    for (const uint64_t bytes : {1u, 1000u, 100'000u, 163'840u}) {
      EngineProfile profile;
      profile.block_size = block_size;
      profile.kv_bytes_per_token = bytes;
      const KvLayout layout = KvLayout::of(profile);
      EXPECT_EQ(layout.block_bytes() % (2 * layout.layers), 0u) << block_size << " " << bytes;
      EXPECT_GE(uint64_t{layout.bytes_per_token} * layout.scale, bytes);
    }
  }
}

TEST(KvMemory, StartsAsZeroesAndHasAPlaceForEachBlock) {
  KvMemory memory = KvMemory::create(3, KvLayout{}).value();
  for (uint32_t block = 0; block < 3; ++block) {
    EXPECT_TRUE(
        std::ranges::all_of(memory.block(block), [](std::byte b) { return b == std::byte{}; }));
    fill_kv_block(block, memory.block(block));
  }
  for (uint32_t block = 0; block < 3; ++block) {
    const auto expected = filled(block, KvLayout{}.block_bytes());
    EXPECT_TRUE(std::ranges::equal(memory.block(block), expected));
  }
}

TEST(KvMemory, IsSharedUnderItsNameUntilItGoes) {
  const std::string name = "/kvasir-test-" + std::to_string(getpid());
  {
    KvMemory memory = KvMemory::create(2, KvLayout{}, name).value();
    EXPECT_EQ(memory.shared_name(), name);
    const int file = shm_open(name.c_str(), O_RDONLY, 0);
    ASSERT_GE(file, 0);
    void* mapped = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    ASSERT_NE(mapped, MAP_FAILED);
    fill_kv_block(7, memory.block(1));
    EXPECT_EQ(std::memcmp(static_cast<std::byte*>(mapped) + 4096, memory.block(1).data(), 4096), 0);
    munmap(mapped, 8192);
    const auto second = KvMemory::create(2, KvLayout{}, name);
    ASSERT_FALSE(second.ok());
    EXPECT_THAT(second.error().message, testing::HasSubstr(name));
  }
  EXPECT_LT(shm_open(name.c_str(), O_RDONLY, 0), 0);
}

TEST(KvMemory, WhatAKilledProcessLeftBehindIsRemoved) {
  const std::string name = "/kvasir-test-killed-" + std::to_string(getpid());
  const pid_t child = fork();
  if (child == 0) {
    const auto memory = KvMemory::create(2, KvLayout{}, name);
    _exit(memory.ok() ? 0 : 1);  // no destructor runs
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  KvMemory other = KvMemory::create(1, KvLayout{}, name + "-other").value();
  EXPECT_LT(shm_open(name.c_str(), O_RDONLY, 0), 0);
}

TEST(KvBlock, HoldsFiniteNumbersOfModestSize) {
  const auto block = filled(42, 4096 + 6);
  std::vector<uint16_t> numbers(block.size() / 2);
  std::memcpy(numbers.data(), block.data(), block.size());
  std::set<uint16_t> different(numbers.begin(), numbers.end());
  EXPECT_GT(different.size(), numbers.size() / 2);
  double sum = 0;
  for (const uint16_t number : numbers) {
    const double value = half(number);
    EXPECT_GE(std::abs(value), std::ldexp(1, -7));
    EXPECT_LT(std::abs(value), 2);
    sum += value;
  }
  EXPECT_NEAR(sum / static_cast<double>(numbers.size()), 0, 0.1) << "both signs";
}

TEST(KvBlock, IsAFunctionOfItsHash) {
  EXPECT_EQ(filled(1, 4096), filled(1, 4096));
  EXPECT_NE(filled(1, 4096), filled(2, 4096));
}

TEST(KvBlock, EveryFlippedBitChangesItsDigest) {
  for (const size_t bytes : {8u, 30u, 256u, 4096u}) {
    auto block = filled(bytes, bytes);
    const uint64_t digest = kv_block_digest(block);
    EXPECT_EQ(kv_block_digest(block), digest);
    for (size_t bit = 0; bit < 8 * bytes; ++bit) {
      const auto mask = static_cast<std::byte>(1u << (bit % 8));
      block[bit / 8] ^= mask;
      ASSERT_NE(kv_block_digest(block), digest) << "bit " << bit << " of " << bytes << " bytes";
      block[bit / 8] ^= mask;
    }
  }
}

TEST(KvBlock, SwappedAndMissingWordsChangeItsDigest) {
  auto block = filled(3, 4096);
  const uint64_t digest = kv_block_digest(block);
  EXPECT_NE(kv_block_digest(std::span(block).first(4088)), digest);
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    auto swapped = block;
    const size_t one = 8 * random.below(512), other = 8 * random.below(512);
    if (one == other) continue;
    std::swap_ranges(swapped.begin() + one, swapped.begin() + one + 8, swapped.begin() + other);
    ASSERT_NE(kv_block_digest(swapped), digest) << one << " " << other;
  }
}

}  // namespace
}  // namespace kvasir
