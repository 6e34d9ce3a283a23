#include "apps/args_file.h"

#include <algorithm>

#include "base/text.h"
#include "base/whole_file.h"

namespace kvasir {
namespace {

constexpr std::string_view kFlag = "--args-file";

bool is_blank(char byte) {
  return kJsonSpace.find(byte) != std::string_view::npos;
}

bool is_quote(char byte) {
  return byte == '\'' || byte == '"';
}

// Walks over the text once; `line` counts from 1.
class WordReader {
 public:
  explicit WordReader(std::string_view text) : text_(text) {}

  Result<std::vector<std::string>> read() {
    std::vector<std::string> words;
    for (skip_blanks_and_comments(); at_ < text_.size(); skip_blanks_and_comments()) {
      Result<std::string> word = read_word();
      if (!word) return word.error();
      words.push_back(std::move(*word));
    }
    return words;
  }

 private:
  void skip_blanks_and_comments() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (is_blank(text_[at_])) {
        line_ += text_[at_++] == '\n' ? 1 : 0;
      } else {
        return;
      }
    }
  }

  Result<std::string> read_word() {
    std::string word;
    bool may_quote = true;  // at the word's beginning, and behind its first =
    bool has_value = false;
    while (at_ < text_.size() && !is_blank(text_[at_])) {
      const char byte = text_[at_];
      if (byte == '\0') return Error{std::to_string(line_) + ": a NUL byte"};
      if (may_quote && is_quote(byte)) {
        if (Result<void> quoted = read_quoted(word); !quoted) return quoted.error();
        may_quote = false;
        continue;
      }
      word.push_back(byte);
      ++at_;
      may_quote = byte == '=' && !has_value;
      has_value = has_value || byte == '=';
    }
    return word;
  }

  Result<void> read_quoted(std::string& word) {
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) {
      return Error{std::to_string(line_) + ": the quote " + text_[at_] + " is not closed"};
    }
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    if (inside.find('\0') != std::string_view::npos) {
      return Error{std::to_string(line_) + ": a NUL byte"};
    }
    line_ += static_cast<int>(std::count(inside.begin(), inside.end(), '\n'));
    word.append(inside);
    at_ = end + 1;
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

bool names_args_file(std::string_view argument) {
  return argument.substr(0, kFlag.size()) == kFlag &&
         (argument.size() == kFlag.size() || argument[kFlag.size()] == '=');
}

Result<void> add_words_of(const std::string& file, std::vector<std::string>& words) {
  const Result<std::string> text = read_whole_file(file, kArgsFileBytesMost);
  if (!text) return Error{std::string(kFlag) + ": " + text.error().message};
  const Result<std::vector<std::string>> read = split_arguments(*text);
  if (!read) return Error{std::string(kFlag) + ": " + file + ":" + read.error().message};
  if (std::any_of(read->begin(), read->end(), names_args_file)) {
    return Error{std::string(kFlag) + ": " + file +
                 ": a file of arguments cannot name another one"};
  }
  words.insert(words.end(), read->begin(), read->end());
  return {};
}

}  // namespace

Result<std::vector<std::string>> split_arguments(std::string_view text) {
  return WordReader(text).read();
}

Result<std::vector<std::string>> with_args_files(const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!names_args_file(arguments[i])) {
      words.push_back(arguments[i]);
      continue;
    }
    const bool joined = arguments[i].size() > kFlag.size();
    if (!joined && ++i == arguments.size()) {
      return Error{std::string(kFlag) + ": a value is missing"};
    }
    const std::string file = joined ? arguments[i].substr(kFlag.size() + 1) : arguments[i];
    if (Result<void> added = add_words_of(file, words); !added) return added.error();
  }
  return words;
}

}  // namespace kvasir
