#include "wire/request/model_restore.h"

#include <algorithm>
#include <utility>

#include "wire/json/json_text.h"

namespace kvasir {
namespace {

constexpr std::string_view kKey = "\"model\":";

// The length of the longest proper start of kKey that `text` ends in.
size_t unfinished_key(std::string_view text) {
  for (size_t size = std::min(kKey.size() - 1, text.size()); size > 0; --size) {
    if (text.substr(text.size() - size) == kKey.substr(0, size)) return size;
  }
  return 0;
}

std::string quoted_model(std::string_view text) {
  std::string json;
  append_json_string(text, json);
  return json;
}

}  // namespace

ModelRestorer::ModelRestorer(std::string_view target, std::string_view incoming)
    : target_json_(quoted_model(target)),
      replacement_(quoted_model(incoming)),
      active_(!target.empty() && !incoming.empty() && target != incoming) {}

size_t ModelRestorer::held_bytes_max() const {
  return kKey.size() + target_json_.size();
}

// `text` starts behind the key.
ModelRestorer::Occurrence ModelRestorer::match_value(std::string_view text) const {
  const size_t space = !text.empty() && text[0] == ' ' ? 1 : 0;
  const std::string_view value = text.substr(space, target_json_.size());
  if (value != std::string_view(target_json_).substr(0, value.size())) return {Match::kNo, 0};
  if (value.size() < target_json_.size()) return {Match::kUnfinished, 0};
  return {Match::kYes, space + value.size()};
}

void ModelRestorer::feed(std::string_view chunk, std::string& output) {
  if (!active_) {
    output.append(chunk);
    return;
  }
  if (held_.empty()) return rewrite(chunk, output);
  const std::string joined = std::exchange(held_, {}).append(chunk);
  rewrite(joined, output);
}

// Neither of `text` nor of held_ is anything written yet.
void ModelRestorer::rewrite(std::string_view text, std::string& output) {
  size_t written = 0;
  size_t end = text.size();  // of what can be written
  for (size_t at = text.find(kKey); at != std::string_view::npos; at = text.find(kKey, at)) {
    const size_t value = at + kKey.size();
    const bool escaped = (at > 0 ? text[at - 1] : before_) == '\\';
    const Occurrence found = escaped ? Occurrence{Match::kNo, 0} : match_value(text.substr(value));
    if (found.match == Match::kUnfinished) {
      end = at;
      break;
    }
    if (found.match == Match::kYes) {
      const size_t size_of_space = found.size - target_json_.size();
      output.append(text.substr(written, value + size_of_space - written)).append(replacement_);
      written = value + found.size;
    }
    at = value + found.size;
  }
  if (end == text.size()) end -= unfinished_key(text.substr(written));
  output.append(text.substr(written, end - written));
  if (end > 0) before_ = text[end - 1];
  held_.assign(text.substr(end));
}

void ModelRestorer::flush(std::string& output) {
  output.append(held_);
  held_.clear();
  before_ = 0;
}

}  // namespace kvasir
