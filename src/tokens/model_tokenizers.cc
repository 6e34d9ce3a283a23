#include "tokens/model_tokenizers.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/whole_file.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerName = "tokenizer.json";
constexpr int kFoldersDeep = 2;  // OWNER/MODEL
constexpr size_t kFoldersMax = 4096;

Result<std::unique_ptr<BpeTokenizer>> load_one(const fs::path& file,
                                               const TokenizerLimits& limits) {
  const Result<std::string> text = read_whole_file(file.string(), limits.file_bytes);
  if (!text) return text.error();
  auto tokenizer = BpeTokenizer::load(text.value(), limits);
  if (!tokenizer) return Error{file.string() + ": " + tokenizer.error().message};
  return tokenizer;
}

// The folders below `root` that have a tokenizer.json, and those above that may.
Result<std::map<std::string, fs::path>> files_below(const fs::path& root) {
  std::map<std::string, fs::path> files;
  std::error_code failure;
  size_t folders = 0;
  for (fs::recursive_directory_iterator at(root, failure), end; !failure && at != end;
       at.increment(failure)) {
    std::error_code ignored;
    if (!at->is_directory(ignored)) continue;
    if (++folders > kFoldersMax) {
      return Error{root.string() + ": more than " + std::to_string(kFoldersMax) + " folders"};
    }
    if (at.depth() + 1 >= kFoldersDeep) at.disable_recursion_pending();
    const fs::path file = at->path() / kTokenizerName;
    if (fs::exists(file, ignored))
      files.emplace(at->path().lexically_relative(root).string(), file);
  }
  if (failure) return Error{root.string() + ": " + failure.message()};
  return files;
}

}  // namespace

Result<std::unique_ptr<ModelTokenizers>> ModelTokenizers::load(const std::string& path,
                                                               const TokenizerLimits& limits) {
  auto result = std::make_unique<ModelTokenizers>();
  std::error_code failure;
  const bool is_folder = fs::is_directory(path, failure);
  const fs::path for_all = is_folder ? fs::path(path) / kTokenizerName : fs::path(path);
  if (!is_folder || fs::exists(for_all, failure)) {
    auto tokenizer = load_one(for_all, limits);
    if (!tokenizer) return tokenizer.error();
    result->for_all_ = std::move(tokenizer).value();
  }
  if (!is_folder) return result;
  const auto files = files_below(path);
  if (!files) return files.error();
  if (files.value().size() > kModelsMax) {
    return Error{path + ": more than " + std::to_string(kModelsMax) + " models"};
  }
  for (const auto& [model, file] : files.value()) {
    auto tokenizer = load_one(file, limits);
    if (!tokenizer) return tokenizer.error();
    result->by_model_.emplace(model, std::move(tokenizer).value());
  }
  if (result->size() == 0) {
    return Error{path + ": neither tokenizer.json nor MODEL/tokenizer.json is there"};
  }
  return result;
}

const BpeTokenizer* ModelTokenizers::find(std::string_view model) const {
  const auto found = by_model_.find(model);
  return found != by_model_.end() ? found->second.get() : for_all_.get();
}

}  // namespace kvasir
