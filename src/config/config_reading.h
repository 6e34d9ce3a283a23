// What reading a configuration file gives: the configuration, and everything there is to say about
// the file.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/remark.h"
#include "base/value.h"
#include "config/endpoint_picker_config.h"

namespace kvasir {

inline constexpr size_t kConfigErrorsMost = 100;  // more are counted, not told

struct ConfigReading {
  EndpointPickerConfig config;   // complete only without errors
  std::vector<Remark> errors;    // in the order of the lines
  std::vector<Remark> warnings;  // works, and is probably not what was meant
  std::vector<Remark> notes;     // how the file was understood
  // False: it is empty, or no more than apiVersion, kind, metadata and keys without a value.
  bool says_something = true;
  size_t plugins_listed = 0;  // in the file's own list, right or wrong

  bool ok() const { return errors.empty(); }
};

// A key that names a plugin, as {pluginRef: NAME}; "" when `value` is null or wrong (then an error
// is added).
std::string read_plugin_ref(const Value* value, const std::string& owner,
                            std::vector<Remark>& errors);

// The elements of a list; empty when `value` is null or no list (then an error is added).
const Value::List& read_list(const Value* value, const std::string& owner,
                             std::vector<Remark>& errors);

}  // namespace kvasir
