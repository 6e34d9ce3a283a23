#include "engine/kv_memory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/assert.h"
#include "base/random.h"
#include "timing/engine_profile.h"

namespace kvasir {
namespace {

constexpr std::string_view kSharedPrefix = "/kvasir-";

// Four half-precision numbers of any sign and mantissa, with exponents from -7 to 0.
constexpr uint64_t kFreeBits = 0x9fff'9fff'9fff'9fffULL;
constexpr uint64_t kExponentOf8 = 0x2000'2000'2000'2000ULL;

constexpr size_t kLanes = 4;
constexpr std::array<uint64_t, kLanes> kOdd = {0x9e3779b97f4a7c15ULL, 0xbf58476d1ce4e5b9ULL,
                                               0x94d049bb133111ebULL, 0xd6e8feb86659fd93ULL};

uint64_t word_at(const std::byte* from, size_t bytes = sizeof(uint64_t)) {
  uint64_t word = 0;
  std::memcpy(&word, from, bytes);
  return word;
}

// A bijection of `lane` for each word, and of the word for each lane: no change of one goes
// unnoticed.
uint64_t absorb(uint64_t lane, uint64_t word, uint64_t odd) {
  lane = (lane ^ word) * odd;
  return lane ^ (lane >> 29);
}

Error failed(const std::string& what, int error) {
  return Error{what + ": " + std::strerror(error)};
}

// The lock of a live owner stays with it; what nobody has locked was left behind.
void remove_leftovers() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
    const std::string name = "/" + entry.path().filename().string();
    if (!name.starts_with(kSharedPrefix)) continue;
    const int file = shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0);
    if (file < 0) continue;
    // An owner locks before it gives the memory its size.
    const bool left = flock(file, LOCK_EX | LOCK_NB) == 0 && lseek(file, 0, SEEK_END) > 0;
    if (left) shm_unlink(name.c_str());
    close(file);
  }
}

// Its pages are taken now: writing to a full /dev/shm later would end the process.
Result<int> open_shared(const std::string& name, size_t bytes) {
  remove_leftovers();
  const int file = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed("shared memory " + name, errno);
  int error = flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  if (error == 0) error = posix_fallocate(file, 0, static_cast<off_t>(bytes));
  if (error == 0) return file;
  shm_unlink(name.c_str());
  close(file);
  return failed("shared memory " + name + " of " + std::to_string(bytes) + " bytes in /dev/shm",
                error);
}

}  // namespace

KvLayout KvLayout::of(const EngineProfile& profile, uint32_t scale) {
  constexpr uint64_t kUnknown = 262'144;
  KVASIR_ASSERT(scale > 0, "a block has bytes");
  KvLayout layout;
  layout.block_size = profile.block_size;
  layout.scale = scale;
  const uint64_t real = profile.kv_bytes_per_token > 0 ? profile.kv_bytes_per_token : kUnknown;
  layout.bytes_per_token = static_cast<uint32_t>((real + scale - 1) / scale);
  while (layout.block_bytes() % (2 * layout.layers) != 0) ++layout.bytes_per_token;
  return layout;
}

KvMemory::KvMemory(uint32_t blocks, const KvLayout& layout)
    : block_bytes_(layout.block_bytes()), blocks_(blocks), layout_(layout) {}

Result<KvMemory> KvMemory::create(uint32_t blocks, const KvLayout& layout,
                                  const std::string& shared_name) {
  KvMemory memory(blocks, layout);
  const size_t bytes = memory.block_bytes_ * blocks;
  if (bytes == 0) return memory;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (!shared_name.empty()) {
    const Result<int> file = open_shared(shared_name, bytes);
    if (!file) return file.error();
    memory.shared_ = *file;
    memory.shared_name_ = shared_name;
    flags = MAP_SHARED;
  }
  void* begin = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, memory.shared_, 0);
  if (begin == MAP_FAILED) {
    return failed("memory for " + std::to_string(blocks) + " KV blocks", errno);
  }
  memory.begin_ = static_cast<std::byte*>(begin);
  return memory;
}

KvMemory::~KvMemory() {
  if (begin_ != nullptr) munmap(begin_, block_bytes_ * blocks_);
  if (shared_ < 0) return;
  shm_unlink(shared_name_.c_str());
  close(shared_);
}

KvMemory::KvMemory(KvMemory&& other) noexcept
    : begin_(std::exchange(other.begin_, nullptr)),
      block_bytes_(other.block_bytes_),
      blocks_(std::exchange(other.blocks_, 0)),
      layout_(other.layout_),
      shared_name_(std::move(other.shared_name_)),
      shared_(std::exchange(other.shared_, -1)) {}

KvMemory& KvMemory::operator=(KvMemory&& other) noexcept {
  std::swap(begin_, other.begin_);
  std::swap(block_bytes_, other.block_bytes_);
  std::swap(blocks_, other.blocks_);
  std::swap(layout_, other.layout_);
  std::swap(shared_name_, other.shared_name_);
  std::swap(shared_, other.shared_);
  return *this;
}

void fill_kv_block(BlockHash hash, std::span<std::byte> block) {
  const uint64_t first = mix64(hash);
  size_t at = 0;
  const auto value = [&] { return (mix64(first + at) & kFreeBits) | kExponentOf8; };
  for (; at + sizeof(uint64_t) <= block.size(); at += sizeof(uint64_t)) {
    const uint64_t four = value();
    std::memcpy(block.data() + at, &four, sizeof(four));
  }
  const uint64_t rest = value();
  std::memcpy(block.data() + at, &rest, block.size() - at);
}

uint64_t kv_block_digest(std::span<const std::byte> block) {
  std::array<uint64_t, kLanes> lanes = kOdd;
  constexpr size_t kStride = kLanes * sizeof(uint64_t);
  const std::byte* at = block.data();
  size_t left = block.size();
  for (; left >= kStride; left -= kStride, at += kStride) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = absorb(lanes[lane], word_at(at + lane * sizeof(uint64_t)), kOdd[lane]);
    }
  }
  for (size_t lane = 0; left > 0; ++lane) {
    const size_t bytes = std::min(left, sizeof(uint64_t));
    lanes[lane] = absorb(lanes[lane], word_at(at, bytes), kOdd[lane]);
    at += bytes;
    left -= bytes;
  }
  uint64_t digest = block.size();
  for (const uint64_t lane : lanes) digest = mix64(digest ^ lane);
  return digest;
}

}  // namespace kvasir
