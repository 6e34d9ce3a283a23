#include "wire/json/json_edit.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"
#include "wire/json/json_cursor.h"
#include "wire/json/json_text.h"

namespace kvasir {

Result<JsonEditor> JsonEditor::read(std::string_view object,
                                    std::span<const std::string_view> keys) {
  const auto at_byte = [](std::string_view what, size_t at) {
    return Error{std::string(what) + " at byte " + std::to_string(at)};
  };
  const size_t brace = object.find_first_not_of(kJsonSpace);
  if (brace == std::string_view::npos) return Error{"the body is empty"};
  if (object[brace] != '{') {
    return at_byte("the body is not a JSON object: it begins otherwise", brace);
  }
  JsonEditor editor(object, keys);
  editor.end_ = brace + 1;
  JsonMembers members(object.substr(brace));
  const auto offset = [object](std::string_view part) {
    return static_cast<size_t>(part.data() - object.data());
  };
  bool before_is_found = false;
  for (; members.next(); ++editor.members_) {
    const size_t begin = offset(members.raw_key()) - 1;  // its quote
    const size_t value = offset(members.value());
    const size_t end = value + members.value().size();
    if (before_is_found) editor.found_.back().next = begin;
    const auto key = std::find(keys.begin(), keys.end(), members.key());
    before_is_found = key != keys.end();
    if (before_is_found) {
      const auto index = static_cast<size_t>(key - keys.begin());
      for (Found& earlier : editor.found_) earlier.counts &= earlier.key != index;
      editor.found_.push_back({index, editor.members_, editor.end_, begin, value, end, end});
    }
    editor.end_ = end;
  }
  if (members.malformed()) return at_byte("the body is not JSON", brace + members.at());
  const size_t behind = object.find_first_not_of(kJsonSpace, brace + members.at());
  if (behind != std::string_view::npos) {
    return at_byte("something follows the JSON object", behind);
  }
  return editor;
}

std::optional<std::string_view> JsonEditor::find(std::string_view key) const {
  for (const Found& found : found_) {
    if (found.counts && keys_[found.key] == key) {
      return object_.substr(found.value, found.end - found.value);
    }
  }
  return std::nullopt;
}

std::string JsonEditor::write(std::span<const JsonEdit> edits) const {
  size_t more = 0;
  for (const JsonEdit& edit : edits) more += edit.key.size() + edit.value.value_or("").size() + 4;
  std::string text;
  text.reserve(object_.size() + more);
  size_t copied = 0, removed = 0;
  const auto copy_to = [&](size_t end) {
    text += object_.substr(copied, end - copied);
    copied = end;
  };
  for (const Found& found : found_) {
    const auto edit = std::find_if(edits.begin(), edits.end(), [&](const JsonEdit& candidate) {
      return candidate.key == keys_[found.key];
    });
    if (edit == edits.end()) continue;
    if (edit->value && found.counts) {
      copy_to(found.value);
      text += *edit->value;
      copied = found.end;
    } else if (removed == found.place) {  // nothing is left before it: the comma behind it goes
      copy_to(found.begin);
      copied = found.next;
      ++removed;
    } else {
      copy_to(found.before);
      copied = found.end;
      ++removed;
    }
  }
  copy_to(end_);
  bool is_first = removed == members_;
  for (const JsonEdit& edit : edits) {
    if (!edit.value || find(edit.key)) continue;
    if (!is_first) text += ',';
    is_first = false;
    append_json_string(edit.key, text);
    text += ':';
    text += *edit.value;
  }
  copy_to(object_.size());
  return text;
}

}  // namespace kvasir
