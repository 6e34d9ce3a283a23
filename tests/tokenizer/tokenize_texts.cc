// Tokenizes the texts of a file, for run.py, which compares the ids with those of the tokenizers
// library.
//
//   tokenize_texts TOKENIZER.json TEXTS IDS [ROUNDS]
//
// TEXTS: for each text its bytes' number as 32 bits, little-endian, and its bytes. IDS gets the
// same with ids of 32 bits. Prints as JSON how many seconds of a core each of ROUNDS passes over
// all texts took.
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/whole_file.h"
#include "tokens/bpe_tokenizer.h"

namespace kvasir {
namespace {

constexpr size_t kFileBytesMax = size_t{1} << 30;

// Of this thread on a core: what others do on the machine does not count.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::string file_or_exit(const char* path) {
  Result<std::string> text = read_whole_file(path, kFileBytesMax);
  if (text) return std::move(text).value();
  std::fprintf(stderr, "%s\n", text.error().message.c_str());
  std::exit(1);
}

std::vector<std::string_view> texts_of(std::string_view file) {
  std::vector<std::string_view> texts;
  while (file.size() >= 4) {
    uint32_t size = 0;
    std::memcpy(&size, file.data(), sizeof size);
    texts.push_back(file.substr(4, size));
    file.remove_prefix(4 + texts.back().size());
  }
  return texts;
}

int tokenize(const char* tokenizer_path, const char* texts_path, const char* ids_path, int rounds) {
  const auto tokenizer = BpeTokenizer::load(file_or_exit(tokenizer_path));
  if (!tokenizer) {
    std::fprintf(stderr, "%s: %s\n", tokenizer_path, tokenizer.error().message.c_str());
    return 1;
  }
  const std::string file = file_or_exit(texts_path);
  const std::vector<std::string_view> texts = texts_of(file);
  std::vector<uint32_t> ids;
  std::printf("[");
  for (int round = 0; round < rounds; ++round) {
    const double begin = thread_seconds();
    for (const std::string_view text : texts) {
      ids.clear();
      if (!tokenizer.value()->encode(text, ids, false)) return 1;
    }
    std::printf("%s%.6f", round == 0 ? "" : ",", thread_seconds() - begin);
  }
  std::printf("]\n");
  std::FILE* out = std::fopen(ids_path, "wb");
  if (out == nullptr) return 1;
  for (const std::string_view text : texts) {
    ids.assign(1, 0);
    if (!tokenizer.value()->encode(text, ids, true)) return 1;
    ids[0] = static_cast<uint32_t>(ids.size() - 1);
    std::fwrite(ids.data(), sizeof(uint32_t), ids.size(), out);
  }
  return std::fclose(out) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: tokenize_texts TOKENIZER.json TEXTS IDS [ROUNDS]\n");
    return 2;
  }
  return kvasir::tokenize(argv[1], argv[2], argv[3], argc > 4 ? std::atoi(argv[4]) : 1);
}
