#include "tokens/tokenizer_file.h"

#include <simdjson.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "tokens/tokenizer_parts.h"

namespace kvasir {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

using Vocabulary = std::unordered_map<std::string_view, uint32_t>;

std::string beyond(std::string_view what, size_t most) {
  return std::string(what).append(": more than ").append(std::to_string(most));
}

class FileReader {
 public:
  FileReader(object file, const TokenizerLimits& limits) : file_(file), limits_(limits) {}

  Result<TokenizerFile> read() {
    for (const auto step : {&FileReader::read_model, &FileReader::read_merges,
                            &FileReader::read_added_tokens, &FileReader::read_parts}) {
      if (Result<void> done = (this->*step)(); !done) return done.error();
    }
    result_.vocabulary.reserve(vocabulary_.size());
    for (const auto& [text, id] : vocabulary_) result_.vocabulary.emplace_back(text, id);
    return std::move(result_);
  }

 private:
  Result<void> read_model() {
    if (file_["model"].get(model_) != simdjson::SUCCESS) return Error{"\"model\" is missing"};
    const std::string_view type = value_or(model_["type"], std::string_view("BPE"));
    if (type != "BPE") return Error{"model: its type is " + std::string(type) + ", not BPE"};
    if (Result<void> done = check_model(); !done) return done;
    if (Result<void> done = read_vocabulary(); !done) return done;
    std::string_view unknown;
    if (model_["unk_token"].get(unknown) == simdjson::SUCCESS) {
      const auto found = vocabulary_.find(unknown);
      if (found == vocabulary_.end()) return Error{"model.unk_token is not in model.vocab"};
      result_.unknown = found->second;
    }
    result_.fuse_unknown = flag(model_, "fuse_unk");
    result_.ignore_merges = flag(model_, "ignore_merges");
    return {};
  }

  // What changes the ids and is not done here.
  Result<void> check_model() const {
    if (flag(model_, "byte_fallback")) return Error{"model.byte_fallback is not supported"};
    double dropout = 0;
    if (model_["dropout"].get(dropout) == simdjson::SUCCESS && dropout != 0) {
      return Error{"model.dropout is not supported: it draws tokens at random"};
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      std::string_view text;
      if (model_[key].get(text) == simdjson::SUCCESS && !text.empty()) {
        return Error{std::string("model.") + key + " is not supported"};
      }
    }
    return {};
  }

  Result<void> read_vocabulary() {
    object vocabulary;
    if (model_["vocab"].get(vocabulary) != simdjson::SUCCESS) {
      return Error{"model.vocab is not an object"};
    }
    if (vocabulary.size() > limits_.vocabulary)
      return Error{beyond("model.vocab", limits_.vocabulary)};
    vocabulary_.reserve(vocabulary.size());
    std::unordered_set<uint32_t> ids;
    for (const auto& entry : vocabulary) {
      uint64_t id = 0;
      if (entry.value.get(id) != simdjson::SUCCESS || id >= limits_.vocabulary) {
        return Error{"model.vocab: \"" + std::string(entry.key) + "\" has no id below " +
                     std::to_string(limits_.vocabulary)};
      }
      if (entry.key.size() > limits_.token_bytes) {
        return Error{beyond("model.vocab: bytes of a token", limits_.token_bytes)};
      }
      const bool added = vocabulary_.emplace(entry.key, static_cast<uint32_t>(id)).second;
      if (!added || !ids.insert(static_cast<uint32_t>(id)).second) {
        return Error{"model.vocab: \"" + std::string(entry.key) + "\" or its id " +
                     std::to_string(id) + " is there twice"};
      }
    }
    return {};
  }

  Result<void> read_merges() {
    array merges;
    if (model_["merges"].get(merges) != simdjson::SUCCESS) {
      return Error{"model.merges is not a list"};
    }
    std::string merged;
    for (const element merge : merges) {
      const std::string place = "model.merges[" + std::to_string(result_.merges.size()) + "]";
      if (result_.merges.size() == limits_.merges) {
        return Error{beyond("model.merges", limits_.merges)};
      }
      const std::optional<std::pair<std::string_view, std::string_view>> pair = merge_pair(merge);
      if (!pair) return Error{place + " is neither \"LEFT RIGHT\" nor [\"LEFT\", \"RIGHT\"]"};
      merged.assign(pair->first).append(pair->second);
      const auto left = vocabulary_.find(pair->first);
      const auto right = vocabulary_.find(pair->second);
      const auto both = vocabulary_.find(merged);
      if (left == vocabulary_.end() || right == vocabulary_.end() || both == vocabulary_.end()) {
        return Error{place + ": \"" + merged + "\" or a part of it is not in model.vocab"};
      }
      result_.merges.push_back({left->second, right->second, both->second});
    }
    return {};
  }

  static std::optional<std::pair<std::string_view, std::string_view>> merge_pair(element merge) {
    std::string_view text;
    if (merge.get(text) == simdjson::SUCCESS) {
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        return std::nullopt;
      }
      return std::pair(text.substr(0, space), text.substr(space + 1));
    }
    array parts;
    std::string_view left, right;
    if (merge.get(parts) != simdjson::SUCCESS || parts.size() != 2 ||
        parts.at(0).get(left) != simdjson::SUCCESS || parts.at(1).get(right) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    return std::pair(left, right);
  }

  Result<void> read_added_tokens() {
    array tokens;
    if (file_["added_tokens"].get(tokens) != simdjson::SUCCESS) return {};
    if (tokens.size() > limits_.added_tokens) {
      return Error{beyond("added_tokens", limits_.added_tokens)};
    }
    std::unordered_set<std::string_view> known;
    uint64_t next_id = vocabulary_.size();
    for (const element each : tokens) {
      const std::string place = "added_tokens[" + std::to_string(result_.added_tokens.size()) + "]";
      std::string_view text;
      if (each["content"].get(text) != simdjson::SUCCESS) return Error{place + " has no content"};
      if (text.size() > limits_.token_bytes) return Error{beyond(place, limits_.token_bytes)};
      if (text.empty() || !known.insert(text).second) continue;
      AddedToken token;
      token.text = text;
      // The library looks not at the id that the file says, but numbers new texts itself.
      const auto in_vocabulary = vocabulary_.find(text);
      const uint64_t id = in_vocabulary != vocabulary_.end() ? in_vocabulary->second : next_id;
      if (id >= limits_.vocabulary) return Error{beyond("the largest id", limits_.vocabulary - 1)};
      if (id >= next_id) next_id = id + 1;
      token.id = static_cast<uint32_t>(id);
      token.special = value_or(each["special"], false);
      token.single_word = value_or(each["single_word"], false);
      token.left_strip = value_or(each["lstrip"], false);
      token.right_strip = value_or(each["rstrip"], false);
      token.normalized = value_or(each["normalized"], false);
      result_.added_tokens.push_back(std::move(token));
    }
    std::stable_partition(result_.added_tokens.begin(), result_.added_tokens.end(),
                          [](const AddedToken& token) { return token.special; });
    return {};
  }

  Result<void> read_parts() {
    if (Result<void> done = read_normalizer(file_, result_); !done) return done;
    if (Result<void> done = read_pre_tokenizer(file_, limits_, result_); !done) return done;
    return read_post_processor(file_, limits_, result_);
  }

  object file_;
  const TokenizerLimits& limits_;
  object model_;
  Vocabulary vocabulary_;
  TokenizerFile result_;
};

}  // namespace

Result<TokenizerFile> read_tokenizer_file(std::string_view json, const TokenizerLimits& limits) {
  if (json.size() > limits.file_bytes) {
    return Error{beyond("bytes of the file", limits.file_bytes)};
  }
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(json);
  object file;
  const simdjson::error_code error = parser.parse(padded).get(file);
  if (error != simdjson::SUCCESS) {
    return Error{std::string("not a JSON object: ") + simdjson::error_message(error)};
  }
  return FileReader(file, limits).read();
}

}  // namespace kvasir
