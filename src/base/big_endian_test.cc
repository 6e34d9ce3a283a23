#include "base/big_endian.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(BigEndian, IsEightBytesTheMostSignificantFirst) {
  EXPECT_EQ(big_endian_bytes(7), std::string("\0\0\0\0\0\0\0\7", 8));
  EXPECT_EQ(big_endian_bytes(0x0102030405060708), "\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(big_endian_bytes(UINT64_MAX), std::string(8, '\xff'));
}

TEST(BigEndian, IsReadOfAsManyBytesAsThereAre) {
  EXPECT_EQ(from_big_endian(""), 0u);
  EXPECT_EQ(from_big_endian("\x01\xff"), 0x1ffu);
  for (const uint64_t value : {uint64_t{0}, uint64_t{0x0102030405060708}, UINT64_MAX}) {
    EXPECT_EQ(from_big_endian(big_endian_bytes(value)), value);
  }
}

}  // namespace
}  // namespace kvasir
