#include "kube/kubeconfig_fields.h"

#include "base/base64.h"
#include "base/remark.h"
#include "base/text.h"
#include "wire/json/json_value.h"

namespace kvasir {
namespace {

const Value* find_entry(const Value& root, const std::string& list, const std::string& name) {
  const Value* entries = root.find(list);
  if (entries == nullptr || entries->list() == nullptr) return nullptr;
  for (const Value& entry : *entries->list()) {
    const Value* own = entry.find("name");
    if (own != nullptr && own->text() != nullptr && *own->text() == name) return &entry;
  }
  return nullptr;
}

bool is_empty(const Value& value) {
  return (value.text() != nullptr && value.text()->empty()) ||
         (value.list() != nullptr && value.list()->empty()) ||
         (value.map() != nullptr && value.map()->empty());
}

std::string seen_from(const std::string& folder, const std::string& path) {
  return path.empty() || path.front() == '/' ? path : folder + "/" + path;
}

}  // namespace

const Value* KubeconfigFields::find(const std::string& key) const {
  const Value* value = map_ == nullptr ? nullptr : map_->find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void KubeconfigFields::fail_at(int line, const std::string& path, const std::string& why) const {
  if (problem_) return;
  problem_ = Error{file_.name + ": " + to_string(Remark{line, path + ": " + why})};
}

void KubeconfigFields::fail(const std::string& key, const std::string& why) const {
  const Value* value = key.empty() ? nullptr : find(key);
  const int line = value != nullptr ? value->line() : map_ != nullptr ? map_->line() : 0;
  fail_at(line, key.empty() ? path_ : path_ + "." + key, why);
}

void KubeconfigFields::refuse(const std::string& key, const std::string& why) const {
  const Value* value = find(key);
  if (value != nullptr && !is_empty(*value)) fail(key, why);
}

std::string KubeconfigFields::text(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return "";
  if (value->text() != nullptr) return *value->text();
  fail(key, "must be a text, not " + std::string(value->kind()) +
                (value->list() == nullptr && value->map() == nullptr ? ": put it in quotes" : ""));
  return "";
}

std::string KubeconfigFields::required_text(const std::string& key) const {
  std::string value = text(key);
  if (value.empty()) fail(key, "is missing");
  return value;
}

bool KubeconfigFields::flag(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return false;
  if (value->boolean() != nullptr) return *value->boolean();
  fail(key, "must be true or false");
  return false;
}

std::string KubeconfigFields::file(const std::string& key) const {
  return seen_from(file_.folder, text(key));
}

std::string KubeconfigFields::command(const std::string& key) const {
  const std::string name = text(key);
  return name.find('/') == std::string::npos ? name : seen_from(file_.folder, name);
}

std::string KubeconfigFields::base64(const std::string& key) const {
  std::string encoded = text(key);
  std::erase_if(encoded, [](char c) { return is_json_space(c); });  // folded lines
  std::optional<std::string> bytes = decode_base64(encoded);
  if (bytes) return std::move(*bytes);
  fail(key, "is not base64");
  return "";
}

std::vector<std::string> KubeconfigFields::texts(const std::string& key) const {
  std::vector<std::string> all;
  const Value* value = find(key);
  if (value == nullptr) return all;
  if (value->list() == nullptr) fail(key, "must be a list");
  for (const Value& item : value->list() == nullptr ? Value::List() : *value->list()) {
    if (item.text() == nullptr) {
      fail(key, "must be a list of texts: put numbers, true and false in quotes");
    } else {
      all.push_back(*item.text());
    }
  }
  return all;
}

std::vector<std::pair<std::string, std::string>> KubeconfigFields::pairs(
    const std::string& key) const {
  std::vector<std::pair<std::string, std::string>> all;
  const Value* value = find(key);
  if (value == nullptr) return all;
  if (value->list() == nullptr) fail(key, "must be a list of maps with name and value");
  for (const Value& item : value->list() == nullptr ? Value::List() : *value->list()) {
    const KubeconfigFields fields(file_, path_ + "." + key + "[]", &item, problem_);
    const std::string name = fields.required_text("name");
    all.emplace_back(name, fields.text("value"));
    if (name.find('=') != std::string::npos) fields.fail("name", "cannot hold '='");
  }
  return all;
}

KubeconfigFields KubeconfigFields::inside(const std::string& key) const {
  const Value* value = find(key);
  if (value != nullptr && value->map() == nullptr) fail(key, "must be a map");
  return {file_, path_ + "." + key, value, problem_};
}

std::string KubeconfigFields::extension_json(const std::string& name) const {
  const Value* entry = map_ == nullptr ? nullptr : find_entry(*map_, "extensions", name);
  const Value* extension = entry == nullptr ? nullptr : entry->find("extension");
  std::string json;
  if (extension != nullptr) append_json(*extension, json);
  return json;
}

std::string KubeconfigFiles::names() const {
  std::string names;
  for (const KubeconfigFile& file : files_) {
    names.append(names.empty() ? "" : ", ").append(file.name);
  }
  return names;
}

std::string KubeconfigFiles::current_context() const {
  for (const KubeconfigFile& file : files_) {
    const Value* current = file.value.find("current-context");
    if (current != nullptr && current->text() != nullptr && !current->text()->empty()) {
      return *current->text();
    }
  }
  return "";
}

std::string KubeconfigFiles::choices(const std::string& list) const {
  std::string text;
  for (const KubeconfigFile& file : files_) {
    const Value* entries = file.value.find(list);
    if (entries == nullptr || entries->list() == nullptr) continue;
    for (const Value& entry : *entries->list()) {
      const Value* name = entry.find("name");
      if (name == nullptr || name->text() == nullptr) continue;
      text.append(text.empty() ? "" : ", ").append(*name->text());
    }
  }
  return list + ": " + (text.empty() ? "none" : text);
}

KubeconfigFields KubeconfigFiles::entry(const std::string& list, const std::string& inner,
                                        const std::string& name,
                                        std::optional<Error>& problem) const {
  const std::string path = list + "[" + name + "]";
  for (const KubeconfigFile& file : files_) {
    const Value* entry = find_entry(file.value, list, name);
    if (entry == nullptr) continue;
    return KubeconfigFields(file, path, entry, problem).inside(inner);
  }
  if (!problem) {
    problem = Error{names() + ": there is no \"" + name + "\" among its " + choices(list)};
  }
  return {none_, path, nullptr, problem};
}

}  // namespace kvasir
