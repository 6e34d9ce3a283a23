#include "transfer/fs/segment_header.h"

#include <cstring>
#include <string_view>

#include "base/little_endian.h"
#include "transfer/kv_fingerprint.h"

namespace kvasir {
namespace {

constexpr std::string_view kSegmentMagic = "KVASIRB1";

}  // namespace

Result<size_t> segment_header_bytes(std::span<const std::byte> prefix, uint64_t fingerprint,
                                    uint32_t block_bytes) {
  if (prefix.size() < SegmentHeader::kPrefixBytes) return Error{"it ends within its header"};
  if (std::memcmp(prefix.data(), kSegmentMagic.data(), kSegmentMagic.size()) != 0) {
    return Error{"it is no file of blocks"};
  }
  if (read_little_endian<uint64_t>(&prefix[8]) != fingerprint ||
      read_little_endian<uint32_t>(&prefix[16]) != block_bytes) {
    return Error{"it is of another model, layout or version"};
  }
  const auto blocks = read_little_endian<uint32_t>(&prefix[20]);
  if (blocks == 0 || blocks > SegmentHeader::kBlocksMost) {
    return Error{"it claims " + std::to_string(blocks) + " blocks"};
  }
  return SegmentHeader::header_bytes(blocks);
}

Result<SegmentHeader> parse_segment_header(std::span<const std::byte> bytes) {
  SegmentHeader header;
  const size_t before_checksum = bytes.size() - 8;
  if (read_little_endian<uint64_t>(&bytes[before_checksum]) !=
      kv_checksum(bytes.first(before_checksum))) {
    return Error{"the checksum of its header is wrong"};
  }
  header.fingerprint = read_little_endian<uint64_t>(&bytes[8]);
  header.block_bytes = read_little_endian<uint32_t>(&bytes[16]);
  for (size_t at = SegmentHeader::kPrefixBytes; at < before_checksum; at += 16) {
    header.blocks.push_back(read_little_endian<uint64_t>(&bytes[at]));
    header.checksums.push_back(read_little_endian<uint64_t>(&bytes[at + 8]));
  }
  return header;
}

std::string write_segment_header(const SegmentHeader& header) {
  std::string bytes(kSegmentMagic);
  append_little_endian(header.fingerprint, bytes);
  append_little_endian(header.block_bytes, bytes);
  append_little_endian(static_cast<uint32_t>(header.blocks.size()), bytes);
  for (size_t i = 0; i < header.blocks.size(); ++i) {
    append_little_endian(header.blocks[i], bytes);
    append_little_endian(header.checksums[i], bytes);
  }
  append_little_endian(kv_checksum(bytes), bytes);
  return bytes;
}

}  // namespace kvasir
