// 400 kB of text each, with the small model of tests/tokenizer/fixture.json, or with the
// tokenizer.json that the environment's KVASIR_TOKENIZER names. Prose and code are this project's
// own documents and sources. Run it in the project's folder.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/random.h"
#include "base/whole_file.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/utf8.h"

namespace kvasir {
namespace {

constexpr size_t kTextBytes = 400'000;
constexpr size_t kFileBytesMax = 256 * 1024 * 1024;

std::string file_or_exit(const std::string& path) {
  Result<std::string> text = read_whole_file(path, kFileBytesMax);
  if (text) return std::move(text).value();
  std::fprintf(stderr, "%s (run it in the project's folder)\n", text.error().message.c_str());
  std::exit(1);
}

std::string tokenizer_text() {
  if (const char* path = std::getenv("KVASIR_TOKENIZER")) return file_or_exit(path);
  const auto fixture = nlohmann::json::parse(file_or_exit("tests/tokenizer/fixture.json"));
  nlohmann::json file = {{"model", fixture["model"]}};
  for (const auto& configuration : fixture["configurations"]) {
    if (configuration["name"] == "qwen2") file.update(configuration);
  }
  file["model"] = fixture["model"];
  return file.dump();
}

const BpeTokenizer& tokenizer() {
  static const std::unique_ptr<BpeTokenizer> loaded = [] {
    auto read = BpeTokenizer::load(tokenizer_text());
    if (read) return std::move(read).value();
    std::fprintf(stderr, "%s\n", read.error().message.c_str());
    std::exit(1);
  }();
  return *loaded;
}

std::string files_text(const std::string& folder, const std::string& extension) {
  std::set<std::string> paths;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
    if (file.path().extension() == extension) paths.insert(file.path().string());
  }
  std::string text;
  for (const std::string& path : paths) {
    if (text.size() < kTextBytes) text += file_or_exit(path);
  }
  return text;
}

// Clauses of ideographs, some of which are frequent.
std::string ideographs_text() {
  Random random(1);
  std::string text;
  while (text.size() < kTextBytes) {
    for (uint64_t rest = 2 + random.below(12); rest > 0; --rest) {
      append_code_point(0x4e00 + static_cast<uint32_t>(random.below(1 + random.below(5000))), text);
    }
    text += "\xef\xbc\x8c";
  }
  return text;
}

void encode_text(benchmark::State& state, const std::string& text) {
  std::vector<uint32_t> ids;
  for (auto _ : state) {
    ids.clear();
    benchmark::DoNotOptimize(tokenizer().encode(text, ids, false));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
  state.counters["bytes_per_token"] =
      static_cast<double>(text.size()) / static_cast<double>(ids.size());
}

BENCHMARK_CAPTURE(encode_text, prose, files_text("docs", ".md"))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(encode_text, code, files_text("src", ".cc"))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(encode_text, ideographs, ideographs_text())->Unit(benchmark::kMicrosecond);

void load_file(benchmark::State& state) {
  const std::string text = tokenizer_text();
  for (auto _ : state) benchmark::DoNotOptimize(BpeTokenizer::load(text));
}
BENCHMARK(load_file)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
