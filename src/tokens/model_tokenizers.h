// The tokenizers of models, as files say them. Immutable after load().
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tokens/bpe_tokenizer.h"

namespace kvasir {

class ModelTokenizers {
 public:
  static constexpr size_t kModelsMax = 64;

  // `path`: a tokenizer.json, for every model; or a folder that has one, for every model, or has
  // MODEL/tokenizer.json (and MODEL may have a slash). An error names the file.
  static Result<std::unique_ptr<ModelTokenizers>> load(const std::string& path,
                                                       const TokenizerLimits& limits = {});

  // Null: there is none for it.
  const BpeTokenizer* find(std::string_view model) const;
  size_t size() const { return by_model_.size() + (for_all_ == nullptr ? 0 : 1); }

 private:
  std::unique_ptr<BpeTokenizer> for_all_;
  std::map<std::string, std::unique_ptr<BpeTokenizer>, std::less<>> by_model_;
};

}  // namespace kvasir
