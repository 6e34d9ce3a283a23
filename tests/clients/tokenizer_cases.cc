// tokenizer_cases DIR [COUNT]: writes the tokenizer's files and cases.jsonl, COUNT random texts
// with their tokens (10,000 unless told), into DIR. Input of check_tokenizer.py.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "tokens/tokenizer_json.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

// Texts that are almost words, and the ends that words are cut at. The name of the end of sequence
// is left out: it is the one text that Hugging Face keeps whole and encode() does not.
const std::vector<std::string> kNearWords = {" ba",
                                             " babb",
                                             "bab bab",
                                             "  bab",
                                             "babab",
                                             "bbab",
                                             " b",
                                             "ba",
                                             "ab bab",
                                             "\tbab",
                                             " Bab",
                                             "bab\n",
                                             " bab ",
                                             "vov ",
                                             " vovvov",
                                             "endoftext",
                                             "<|user|>",
                                             "bab\xc2\xa0"
                                             "bab",
                                             "\xc4\xa0"
                                             "bab",
                                             "\xc4\xa0",
                                             "don't",
                                             " 'll",
                                             "12345 bab",
                                             "<|endoftext",
                                             " <|endoftext| > bab"};

std::string utf8(uint32_t code_point) {
  const auto tail = [code_point](int shift) {
    return static_cast<char>(0x80 | ((code_point >> shift) & 0x3f));
  };
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  if (code_point < 0x800) return {static_cast<char>(0xc0 | (code_point >> 6)), tail(0)};
  if (code_point < 0x10000) return {static_cast<char>(0xe0 | (code_point >> 12)), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | (code_point >> 18)), tail(12), tail(6), tail(0)};
}

// Any code point but the surrogates, short encodings as likely as long ones.
uint32_t random_code_point(Random& random) {
  static constexpr uint32_t kLimits[] = {0x80, 0x800, 0xd800, 0x110000};
  const uint32_t code_point = static_cast<uint32_t>(random.below(kLimits[random.below(4)]));
  return code_point >= 0xd800 && code_point < 0xe000 ? 0xfffd : code_point;
}

std::string random_piece(Random& random) {
  const auto word = static_cast<uint32_t>(random.below(kWords));
  switch (random.below(6)) {
    case 0:
      return std::string(spaced_word(word));
    case 1:
      return std::string(spaced_word(word).substr(1));
    case 2:
      return std::string(spaced_word(word).substr(0, 1 + random.below(3)));
    case 3:
      return kNearWords[random.below(kNearWords.size())];
    case 4:
      return utf8(static_cast<uint32_t>(random.below(0x20)));
    default:
      return utf8(random_code_point(random));
  }
}

std::string random_text(Random& random) {
  std::string text;
  for (uint64_t pieces = 1 + random.below(40); pieces > 0; --pieces) text += random_piece(random);
  return text;
}

int write_cases(const std::string& directory, int count) {
  if (auto done = write_tokenizer(directory); !done) {
    std::fprintf(stderr, "%s\n", done.error().message.c_str());
    return 1;
  }
  Random random(1);
  std::ofstream file(directory + "/cases.jsonl");
  for (int i = 0; i < count; ++i) {
    const std::string text = random_text(random);
    file << nlohmann::json{{"text", text}, {"ids", encode(text)}}.dump() << '\n';
  }
  file.close();
  return file ? 0 : 1;
}

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: tokenizer_cases DIR [COUNT]\n");
    return 2;
  }
  return kvasir::write_cases(argv[1], argc > 2 ? std::atoi(argv[2]) : 10000);
}
