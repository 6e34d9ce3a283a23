#include "net/io/byte_buffer.h"

#include <gtest/gtest.h>

#include <string>

namespace kvasir {
namespace {

TEST(ByteBuffer, ContentStaysWhereverItLies) {
  ByteBuffer buffer;
  std::string expected;
  for (const size_t size : {size_t{1}, size_t{5000}, ByteBuffer::kMappedBytes, size_t{3}}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    buffer.append(piece);
    expected += piece;
    EXPECT_TRUE(buffer.view() == expected);
  }
  buffer.remove_prefix(5001);
  EXPECT_TRUE(buffer.view() == expected.substr(5001));
}

TEST(ByteBuffer, MemoryThatWasGivenBackIsNotTakenForItsOwnAgain) {
  ByteBuffer buffer;
  const std::string large(2 * ByteBuffer::kMappedBytes, 'l'), small(100, 's');
  for (const std::string* content : {&large, &large, &small, &large, &small, &small}) {
    buffer.append(*content);
    EXPECT_TRUE(buffer.view() == *content);
    buffer.release();
    EXPECT_EQ(buffer.size() + buffer.capacity(), 0u);
  }
}

}  // namespace
}  // namespace kvasir
