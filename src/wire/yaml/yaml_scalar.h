// One plain (unquoted) scalar by the core rules of YAML 1.2.
#pragma once

#include <string>
#include <variant>

#include "base/remark.h"
#include "base/value.h"

namespace kvasir {

// The value; or a problem: the scalar is a number that is not finite or does not fit.
std::variant<Value, Remark> plain_yaml_scalar(const std::string& text, int line);

}  // namespace kvasir
