#include "wire/kv_events/token_array.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace kvasir {
namespace {

void put(std::string& out, uint8_t head, uint64_t number, size_t bytes) {
  out.push_back(static_cast<char>(head));
  for (size_t i = bytes; i > 0; --i) out.push_back(static_cast<char>(number >> (8 * (i - 1))));
}

// In the shortest form, or with one in `longer` in a longer one.
void put_token(std::string& out, uint32_t token, bool longer) {
  if (token < 0x80 && !longer) {
    out.push_back(static_cast<char>(token));
  } else if (token <= UINT8_MAX && !longer) {
    put(out, 0xcc, token, 1);
  } else if (token <= UINT16_MAX && !longer) {
    put(out, 0xcd, token, 2);
  } else if (token % 2 == 0 || !longer) {
    put(out, 0xce, token, 4);
  } else {
    put(out, 0xcf, token, 8);
  }
}

// In memory of its own, so that a sanitizer sees a read beyond it.
std::optional<size_t> read(std::string_view bytes, size_t count, std::vector<uint32_t>& tokens) {
  const std::unique_ptr<char[]> copy(new char[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), copy.get());
  tokens.assign(count, 0);
  return read_token_array({copy.get(), bytes.size()}, count, tokens.data());
}

class TokenArray : public testing::Test {
 protected:
  // Of each width about as many, or of those below `bits` bits.
  std::vector<uint32_t> some_tokens(size_t count, unsigned bits) {
    std::vector<uint32_t> tokens;
    for (size_t i = 0; i < count; ++i) {
      const unsigned width = 1 + static_cast<unsigned>(random_() % bits);
      tokens.push_back(static_cast<uint32_t>(random_() & ((uint64_t{1} << width) - 1)));
    }
    return tokens;
  }

  std::mt19937 random_{17};
};

TEST_F(TokenArray, ReadsEveryMixOfWidths) {
  std::vector<uint32_t> read_tokens;
  for (int round = 0; round < 3000; ++round) {
    const unsigned bits = 1 + random_() % 32;
    const std::vector<uint32_t> tokens = some_tokens(random_() % 60, bits);
    const unsigned one_in = 1 + random_() % 50;
    std::string bytes;
    for (const uint32_t token : tokens)
      put_token(bytes, token, round % 2 == 1 && random_() % one_in == 0);
    ASSERT_EQ(read(bytes, tokens.size(), read_tokens), bytes.size());
    ASSERT_EQ(read_tokens, tokens);
    ASSERT_EQ(read(bytes + std::string(random_() % 40, '\xc1'), tokens.size(), read_tokens),
              bytes.size());
    ASSERT_EQ(read_tokens, tokens);
    if (!bytes.empty()) {
      bytes.pop_back();
      ASSERT_EQ(read(bytes, tokens.size(), read_tokens), std::nullopt);
    }
  }
}

TEST_F(TokenArray, RefusesWhatIsNoTokenWhereverItIs) {
  std::vector<uint32_t> read_tokens;
  for (int head = 0x80; head < 0x100; ++head) {
    if (head >= 0xcc && head <= 0xce) continue;
    for (size_t place = 0; place < 30; ++place) {
      const std::vector<uint32_t> tokens = some_tokens(40, place % 2 == 0 ? 32 : 11);
      std::string bytes;
      for (size_t i = 0; i < tokens.size(); ++i) {
        if (i == place)
          bytes += static_cast<char>(head) +
                   std::string(head == 0xcf ? "\x01\0\0\0\0\0\0\0" : "", head == 0xcf ? 8 : 0);
        put_token(bytes, tokens[i], false);
      }
      ASSERT_EQ(read(bytes, tokens.size(), read_tokens), std::nullopt) << head << " at " << place;
    }
  }
}

}  // namespace
}  // namespace kvasir
