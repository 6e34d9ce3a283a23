#include "base/base64.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

// RFC 4648, section 10.
constexpr struct {
  const char* bytes;
  const char* text;
} kVectors[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};

TEST(Base64, TheTestVectorsOfTheStandardGoBothWays) {
  for (const auto& vector : kVectors) {
    EXPECT_EQ(encode_base64(vector.bytes), vector.text);
    EXPECT_EQ(decode_base64(vector.text), vector.bytes) << vector.text;
  }
}

TEST(Base64, EveryByteComesBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes);
}

TEST(Base64, PaddingMayBeMissing) {
  EXPECT_EQ(decode_base64("Zm8"), "fo");
  EXPECT_EQ(decode_base64("Zg"), "f");
}

TEST(Base64, WhatIsNoBase64IsRefused) {
  for (const char* text : {"Z", "Zm9vY", "Zm 9v", "Zm9v\n", "Zm-_", "====", "Zg===", "\xff\xff"}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

TEST(Base64, WhatDoesNotFitIsRefused) {
  char out[3];
  EXPECT_EQ(decode_base64("Zm9v", out), 3u);
  EXPECT_EQ(decode_base64("Zm9vYg==", out), std::nullopt);
}

}  // namespace
}  // namespace kvasir
