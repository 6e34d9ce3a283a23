#include "transfer/nixl/nixl_chunk.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "net/io/socket.h"

namespace kvasir {
namespace {

constexpr size_t kPieceBytes = 4096;

class NixlChunkTest : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    near_ = Descriptor(sockets[0]);
    far_ = Descriptor(sockets[1]);
    for (size_t i = 0; i < from_.size(); ++i) from_[i] = static_cast<std::byte>(i * 7 >> 3);
  }
  // Each second piece of a memory, so that no two are one.
  static void add_pieces(NixlChunk& chunk, std::vector<std::byte>& memory) {
    for (size_t at = 0; at < memory.size(); at += 2 * kPieceBytes) {
      chunk.add(std::span(memory).subspan(at, kPieceBytes));
    }
  }

  Descriptor near_, far_;
  std::vector<std::byte> from_ = std::vector<std::byte>(2 * kPieceBytes * GetParam());
  std::vector<std::byte> to_ = std::vector<std::byte>(from_.size());
};

// More pieces than the system takes at once, and more bytes than a socket does.
INSTANTIATE_TEST_SUITE_P(Pieces, NixlChunkTest, testing::Values(1, 3, 2'000));

TEST_P(NixlChunkTest, CrossesASocketWhole) {
  NixlChunk sent, received;
  add_pieces(sent, from_);
  add_pieces(received, to_);
  EXPECT_EQ(sent.bytes_left(), GetParam() * kPieceBytes);
  NixlChunk::State state = NixlChunk::State::kWaits;
  while (state == NixlChunk::State::kWaits) {
    ASSERT_NE(sent.send(near_.get()), NixlChunk::State::kBroken);
    state = received.receive(far_.get());
  }
  EXPECT_EQ(state, NixlChunk::State::kWhole);
  EXPECT_EQ(sent.bytes_left(), 0u);
  EXPECT_EQ(sent.checksum(0), received.checksum(0));
  to_[GetParam() / 2 * 2 * kPieceBytes] ^= std::byte{1};
  EXPECT_NE(sent.checksum(0), received.checksum(0));
}

TEST_P(NixlChunkTest, WhatIsDivertedGoesNowhereElse) {
  NixlChunk sent, received;
  add_pieces(sent, from_);
  add_pieces(received, to_);
  std::vector<std::byte> scratch(1'000);
  received.divert(scratch);
  NixlChunk::State state = NixlChunk::State::kWaits;
  while (state == NixlChunk::State::kWaits) {
    ASSERT_NE(sent.send(near_.get()), NixlChunk::State::kBroken);
    state = received.receive(far_.get());
  }
  EXPECT_EQ(state, NixlChunk::State::kWhole);
  EXPECT_EQ(to_, std::vector<std::byte>(to_.size()));
}

TEST_P(NixlChunkTest, AnEndIsNoticed) {
  NixlChunk received;
  add_pieces(received, to_);
  EXPECT_EQ(received.receive(far_.get()), NixlChunk::State::kWaits);
  near_ = Descriptor();
  EXPECT_EQ(received.receive(far_.get()), NixlChunk::State::kBroken);
}

}  // namespace
}  // namespace kvasir
