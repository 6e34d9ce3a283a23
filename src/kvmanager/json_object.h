// Writes JSON objects by appending to a text. What is absent is null.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/json/json_text.h"

namespace kvasir {

class JsonObjectWriter {
 public:
  explicit JsonObjectWriter(std::string& json) : json_(json) { json_.push_back('{'); }
  void end() { json_.push_back('}'); }

  void key(std::string_view name) {
    if (!first_) json_.push_back(',');
    first_ = false;
    append_json_string(name, json_);
    json_.push_back(':');
  }
  void text(std::string_view name, std::optional<std::string_view> value) {
    key(name);
    value ? append_json_string(*value, json_) : void(json_.append("null"));
  }
  void number(std::string_view name, std::optional<uint64_t> value) {
    key(name);
    value ? append_number(static_cast<int64_t>(*value), json_) : void(json_.append("null"));
  }
  // With four digits behind the point at most.
  void decimal(std::string_view name, std::optional<double> value) {
    key(name);
    if (!value || !std::isfinite(*value)) return void(json_.append("null"));
    append_real(std::round(*value * 10000) / 10000, json_);
  }
  void truth(std::string_view name, std::optional<bool> value) {
    key(name);
    json_.append(!value ? "null" : *value ? "true" : "false");
  }

 private:
  std::string& json_;
  bool first_ = true;
};

}  // namespace kvasir
