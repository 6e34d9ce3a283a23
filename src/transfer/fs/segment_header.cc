#include "transfer/fs/segment_header.h"

#include <cstring>
#include <string_view>

#include "transfer/kv_fingerprint.h"

namespace kvasir {
namespace {

constexpr std::string_view kSegmentMagic = "KVASIRB1";

uint64_t read_little(std::span<const std::byte> bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(bytes[at + i]);
  return value;
}

void append_little(uint64_t value, size_t size, std::string& bytes) {
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace

Result<size_t> segment_header_bytes(std::span<const std::byte> prefix, uint64_t fingerprint,
                                    uint32_t block_bytes) {
  if (prefix.size() < SegmentHeader::kPrefixBytes) return Error{"it ends within its header"};
  if (std::memcmp(prefix.data(), kSegmentMagic.data(), kSegmentMagic.size()) != 0) {
    return Error{"it is no file of blocks"};
  }
  if (read_little(prefix, 8, 8) != fingerprint || read_little(prefix, 16, 4) != block_bytes) {
    return Error{"it is of another model, layout or version"};
  }
  const uint64_t blocks = read_little(prefix, 20, 4);
  if (blocks == 0 || blocks > SegmentHeader::kBlocksMost) {
    return Error{"it claims " + std::to_string(blocks) + " blocks"};
  }
  return SegmentHeader::header_bytes(blocks);
}

Result<SegmentHeader> parse_segment_header(std::span<const std::byte> bytes) {
  SegmentHeader header;
  const size_t before_checksum = bytes.size() - 8;
  if (read_little(bytes, before_checksum, 8) != kv_checksum(bytes.first(before_checksum))) {
    return Error{"the checksum of its header is wrong"};
  }
  header.fingerprint = read_little(bytes, 8, 8);
  header.block_bytes = static_cast<uint32_t>(read_little(bytes, 16, 4));
  for (size_t at = SegmentHeader::kPrefixBytes; at < before_checksum; at += 16) {
    header.blocks.push_back(read_little(bytes, at, 8));
    header.checksums.push_back(read_little(bytes, at + 8, 8));
  }
  return header;
}

std::string write_segment_header(const SegmentHeader& header) {
  std::string bytes(kSegmentMagic);
  append_little(header.fingerprint, 8, bytes);
  append_little(header.block_bytes, 4, bytes);
  append_little(header.blocks.size(), 4, bytes);
  for (size_t i = 0; i < header.blocks.size(); ++i) {
    append_little(header.blocks[i], 8, bytes);
    append_little(header.checksums[i], 8, bytes);
  }
  append_little(kv_checksum(std::as_bytes(std::span(bytes.data(), bytes.size()))), 8, bytes);
  return bytes;
}

}  // namespace kvasir
