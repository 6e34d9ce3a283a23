#include "base/text.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

// Every byte for which it holds, in order.
template <class Predicate>
std::string bytes_that(Predicate holds) {
  std::string bytes;
  for (int c = 0; c < 256; ++c) {
    if (holds(static_cast<char>(c))) bytes += static_cast<char>(c);
  }
  return bytes;
}

TEST(Text, EachKindOfByteHasExactlyItsBytes) {
  EXPECT_EQ(bytes_that(is_blank), "\t ");
  EXPECT_EQ(bytes_that(is_json_space), "\t\n\r ");
  EXPECT_EQ(bytes_that(is_digit), "0123456789");
  EXPECT_EQ(bytes_that(is_letter), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(bytes_that([](char c) { return hex_value(c) >= 0; }), "0123456789ABCDEFabcdef");
  EXPECT_EQ(bytes_that([](char c) { return lower_case(c) != c; }), "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  for (const char c : kJsonSpace) EXPECT_TRUE(is_json_space(c));
}

TEST(Text, AHexadecimalDigitHasItsValueInEitherCase) {
  constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
  for (int value = 0; value < 16; ++value) {
    EXPECT_EQ(hex_value(kLower[static_cast<size_t>(value)]), value);
    EXPECT_EQ(hex_value(kUpper[static_cast<size_t>(value)]), value);
  }
}

TEST(Text, OnlyAsciiLettersChangeTheirCase) {
  EXPECT_EQ(lower_case("X-Request-ID_9@[`{\xc3\x84"), "x-request-id_9@[`{\xc3\x84");
  EXPECT_EQ(lower_case(""), "");
}

TEST(Text, ComparesWithoutTheCaseOfLetters) {
  EXPECT_TRUE(equal_ignoring_case("Content-LENGTH", "content-length"));
  EXPECT_TRUE(equal_ignoring_case("", ""));
  EXPECT_FALSE(equal_ignoring_case("close", "closed"));
  EXPECT_FALSE(equal_ignoring_case("@", "`"));  // as far apart as a letter's cases
  EXPECT_FALSE(equal_ignoring_case("\xc3\x84", "\xc3\xa4"));
}

TEST(Text, TrimsBothEndsAndNothingBetween) {
  EXPECT_EQ(trimmed("\t a b \t"), "a b");
  EXPECT_EQ(trimmed(" \t "), "");
  EXPECT_EQ(trimmed(""), "");
  EXPECT_EQ(trimmed("a\r\n"), "a\r\n");  // no blanks
  EXPECT_EQ(trimmed("\r\n a \n", kJsonSpace), "a");
  EXPECT_EQ(trimmed("\r\n", kJsonSpace), "");
  EXPECT_EQ(trimmed(" \ta ", " "), "\ta");
}

}  // namespace
}  // namespace kvasir
