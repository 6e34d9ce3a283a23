// Whatever the text: the tokens' bytes are the text, with U+FFFD for what is no UTF-8; and the
// words that are remembered change nothing.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/assert.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/byte_alphabet.h"
#include "tokens/utf8.h"

namespace kvasir {
namespace {

std::string quoted_letter(int byte) {
  const uint32_t letter = kByteAlphabet.letter(static_cast<uint8_t>(byte));
  std::string text = letter == '"' || letter == '\\' ? "\\" : "";
  append_code_point(letter, text);
  return text;
}

// All bytes, and each pair of a few letters.
std::unique_ptr<BpeTokenizer> tokenizer_of(std::string_view pre_tokenizer) {
  constexpr std::string_view kPaired = "ab \n'st1\xe0\xa4";
  std::string vocabulary;
  std::string merges;
  int id = 0;
  const auto add = [&](const std::string& token) {
    vocabulary.append(id == 0 ? "\"" : ",\"").append(token).append("\":" + std::to_string(id));
    ++id;
  };
  for (int byte = 0; byte < 256; ++byte) add(quoted_letter(byte));
  for (const char left : kPaired) {
    for (const char right : kPaired) {
      const std::string first = quoted_letter(static_cast<uint8_t>(left));
      const std::string second = quoted_letter(static_cast<uint8_t>(right));
      add(first + second);
      merges.append(merges.empty() ? "\"" : ",\"").append(first + " " + second + "\"");
    }
  }
  auto tokenizer =
      BpeTokenizer::load("{\"model\":{\"vocab\":{" + vocabulary + "},\"merges\":[" + merges +
                         "]},\"pre_tokenizer\":" + std::string(pre_tokenizer) + "}");
  KVASIR_ASSERT(tokenizer.ok(), "a good file");
  return std::move(tokenizer).value();
}

constexpr const char* kPreTokenizers[] = {
    R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})",
    R"({"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})",
};

}  // namespace
}  // namespace kvasir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<kvasir::BpeTokenizer> tokenizers[] = {
      kvasir::tokenizer_of(kvasir::kPreTokenizers[0]),
      kvasir::tokenizer_of(kvasir::kPreTokenizers[1])};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& tokenizer : tokenizers) {
    std::vector<uint32_t> ids, again;
    KVASIR_ASSERT(tokenizer->encode(text, ids, false), "a text within the limit");
    KVASIR_ASSERT(tokenizer->decode(ids) == kvasir::as_utf8(text), "decode(encode(text)) == text");
    KVASIR_ASSERT(tokenizer->encode(text, again, false) && ids == again, "the same ids again");
  }
  return 0;
}
