#include "wire/kube/kube_field.h"

#include <algorithm>
#include <utility>

namespace kvasir {
namespace {

constexpr size_t kKeyBytesShown = 256;  // of a key in a path

using simdjson::dom::element_type;

std::string_view kind_of(const simdjson::dom::element& value) {
  switch (value.type()) {
    case element_type::ARRAY:
      return "a list";
    case element_type::OBJECT:
      return "a map";
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return "a number";
    case element_type::STRING:
      return "a text";
    case element_type::BOOL:
      return "a boolean";
    case element_type::NULL_VALUE:
      break;
  }
  return "nothing";
}

}  // namespace

KubeField::KubeField(std::optional<Element> value, const KubeField& parent, std::string_view key)
    : value_(value && !value->is_null() ? value : std::nullopt),
      parent_(&parent),
      key_(key),
      problems_(parent.problems_) {}

KubeField::KubeField(std::optional<Element> value, const KubeField& parent, size_t index)
    : value_(value && !value->is_null() ? value : std::nullopt),
      parent_(&parent),
      index_(index),
      is_element_(true),
      problems_(parent.problems_) {}

KubeField KubeField::operator[](std::string_view key) const& {
  const std::optional<simdjson::dom::object> entries = object();
  Element value;
  if (entries && entries->at_key(key).get(value) == simdjson::SUCCESS) {
    return KubeField(value, *this, key);
  }
  KubeField absent(std::nullopt, *this, key);
  absent.is_missed_ = entries.has_value();
  return absent;
}

std::optional<std::string_view> KubeField::text() const {
  if (!present()) return std::nullopt;
  std::string_view text;
  if (value_->get(text) == simdjson::SUCCESS) return text;
  wrong_type("a text");
  return std::nullopt;
}

std::string_view KubeField::required_text() const {
  const std::optional<std::string_view> found = text();
  if (!present()) {
    missing();
  } else if (found && found->empty()) {
    problem("must not be empty");
  }
  return found.value_or(std::string_view());
}

bool KubeField::boolean(bool otherwise) const {
  bool value = otherwise;
  if (present() && value_->get(value) != simdjson::SUCCESS) {
    wrong_type("true or false");
    return otherwise;
  }
  return value;
}

std::optional<int64_t> KubeField::whole_number(int64_t least, int64_t most) const {
  if (!present()) return std::nullopt;
  int64_t number = 0;
  if (!value_->is_int64() && !value_->is_uint64()) {
    wrong_type("a whole number");
    return std::nullopt;
  }
  if (value_->get(number) != simdjson::SUCCESS || number < least || number > most) {
    problem("must be a number from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }
  return number;
}

std::optional<int64_t> KubeField::required_whole_number(int64_t least, int64_t most) const {
  if (!present()) missing();
  return whole_number(least, most);
}

std::map<std::string, std::string> KubeField::texts() const {
  std::map<std::string, std::string> all;
  for_each_entry([&](std::string_view key, const KubeField& entry) {
    if (const auto text = entry.text()) all.emplace(key, *text);
  });
  return all;
}

size_t KubeField::size() const {
  if (const auto elements = array()) return elements->size();
  return 0;
}

bool KubeField::is_empty_list() const {
  const auto elements = array();
  return elements && elements->size() == 0;
}

void KubeField::missing() const {
  if (is_missed_) problem("missing");
}

void KubeField::problem(std::string text) const {
  if (problems_->size() >= kKubeProblemsMost) return;
  KubeProblem found{path(), std::move(text)};
  const bool known = std::any_of(problems_->begin(), problems_->end(),
                                 [&](const KubeProblem& other) { return other == found; });
  if (!known) problems_->push_back(std::move(found));
}

std::string KubeField::path() const {
  if (parent_ == nullptr) return "";
  std::string path = parent_->path();
  if (is_element_) return path + "[" + std::to_string(index_) + "]";
  if (!path.empty()) path += '.';
  return path.append(key_.substr(0, kKeyBytesShown));
}

std::optional<simdjson::dom::object> KubeField::object() const {
  simdjson::dom::object entries;
  if (!present()) return std::nullopt;
  if (value_->get(entries) == simdjson::SUCCESS) return entries;
  wrong_type("a map");
  return std::nullopt;
}

std::optional<simdjson::dom::array> KubeField::array() const {
  simdjson::dom::array elements;
  if (!present()) return std::nullopt;
  if (value_->get(elements) == simdjson::SUCCESS) return elements;
  wrong_type("a list");
  return std::nullopt;
}

void KubeField::wrong_type(std::string_view wanted) const {
  std::string text = "must be " + std::string(wanted) + ", not " + std::string(kind_of(*value_));
  const bool is_scalar = value_->is_number() || value_->is_bool();
  if (wanted == "a text" && is_scalar) text += " (in quotes it is a text)";
  problem(std::move(text));
}

}  // namespace kvasir
