// The head of a segment, the file in which SafeFolder keeps blocks that were stored together:
//
//   "KVASIRB1", fingerprint, bytes of a block, blocks      8 + 8 + 4 + 4 bytes, little-endian
//   of each block its BlockHash and its checksum           16 bytes each
//   checksum of all that                                   8 bytes
//   the blocks
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/block_hash.h"

namespace kvasir {

struct SegmentHeader {
  static constexpr size_t kPrefixBytes = 24;
  static constexpr uint32_t kBlocksMost = 1u << 20;

  uint64_t fingerprint = 0;
  uint32_t block_bytes = 0;
  std::vector<BlockHash> blocks;
  std::vector<uint64_t> checksums;  // of each

  size_t header_bytes() const { return header_bytes(blocks.size()); }
  static size_t header_bytes(size_t blocks) { return kPrefixBytes + 16 * blocks + 8; }
};

// How long the whole header is, by its first kPrefixBytes; an error: it is none of that fingerprint
// and of blocks of that size.
Result<size_t> segment_header_bytes(std::span<const std::byte> prefix, uint64_t fingerprint,
                                    uint32_t block_bytes);
// Precondition: as long as segment_header_bytes() says of its prefix.
Result<SegmentHeader> parse_segment_header(std::span<const std::byte> header);
std::string write_segment_header(const SegmentHeader& header);

}  // namespace kvasir
