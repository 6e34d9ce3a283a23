#include "wire/kv_transfer/nixl_data.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(NixlDataTest, AHeadIsReadAsItWasWritten) {
  char bytes[NixlFrameHead::kBytes];
  write_nixl_frame_head({NixlFrameKind::kData, 0x12345678, 0x1122334455667788}, bytes);
  const Result<NixlFrameHead> head = read_nixl_frame_head(bytes);
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->kind, NixlFrameKind::kData);
  EXPECT_EQ(head->body_bytes, 0x12345678u);
  EXPECT_EQ(head->id, 0x1122334455667788u);
}

TEST(NixlDataTest, WhatIsNoHeadIsSaid) {
  EXPECT_FALSE(read_nixl_frame_head("GET / HTTP/1.1\r\n").ok());
  EXPECT_FALSE(read_nixl_frame_head("K\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").ok());
  EXPECT_FALSE(read_nixl_frame_head("K\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0").ok());
}

TEST(NixlDataTest, BodiesAreReadAsTheyWereWritten) {
  const Result<NixlHello> hello = read_nixl_hello(write_nixl_hello({"engine", "hash"}));
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->engine_id, "engine");
  EXPECT_EQ(hello->compatibility_hash, "hash");

  const Result<NixlRead> read = read_nixl_read(write_nixl_read(
      {"cmpl-1-0-a74a7b4a", 0xfedcba9876543210, NixlEncoding::kInt8, true, {7, 0, 4'294'967'295}}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->request_id, "cmpl-1-0-a74a7b4a");
  EXPECT_EQ(read->chain, 0xfedcba9876543210u);
  EXPECT_EQ(read->encoding, NixlEncoding::kInt8);
  EXPECT_TRUE(read->by_layers);
  EXPECT_EQ(read->blocks, (std::vector<uint32_t>{7, 0, 4'294'967'295}));

  const Result<NixlDone> done = read_nixl_done(write_nixl_done({"r", 12}));
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->request_id, "r");
  EXPECT_EQ(done->blocks, 12u);

  const std::string beat = write_nixl_beat({"a", "b"});
  const auto ids = read_nixl_beat(beat);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, (std::vector<std::string_view>{"a", "b"}));

  const Result<NixlEnd> end = read_nixl_end(write_nixl_end({NixlEnd::Status::kRefused, "expired"}));
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->status, NixlEnd::Status::kRefused);
  EXPECT_EQ(end->problem, "expired");
}

TEST(NixlDataTest, WhatBreaksOffOrGoesOnIsNoBody) {
  const std::string read = write_nixl_read({"r", 1, NixlEncoding::kHalf, false, {1, 2, 3}});
  for (size_t size = 0; size < read.size(); ++size) {
    EXPECT_FALSE(read_nixl_read(read.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(read_nixl_read(read + "x").ok());
  EXPECT_FALSE(read_nixl_read(write_nixl_read({"r", 1, NixlEncoding::kHalf, false, {}})).ok());
  EXPECT_FALSE(read_nixl_read(write_nixl_done({"r", 1})).ok());
  EXPECT_FALSE(read_nixl_hello(write_nixl_done({"r", 1})).ok());
  EXPECT_FALSE(read_nixl_done(write_nixl_hello({"r", "1"})).ok());
  EXPECT_FALSE(read_nixl_beat(write_nixl_hello({"r", "1"})).ok());
  EXPECT_FALSE(read_nixl_end("\x92\x03\xa1x").ok());
  EXPECT_FALSE(read_nixl_read("\x95\xa1r\x01\x03\x00\x91\x01").ok());
  EXPECT_FALSE(read_nixl_read("\x95\xa1r\x01\x00\x00\xdd\xff\xff\xff\xff\x01").ok());
}

}  // namespace
}  // namespace kvasir
