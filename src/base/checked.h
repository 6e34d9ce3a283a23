// Checked<T>: what a part of a file says, or all that is wrong with it, each with its line.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/remark.h"
#include "base/result.h"

namespace kvasir {

template <class T>
class [[nodiscard]] Checked {
 public:
  Checked(T value) : value_(std::move(value)) {}
  // Precondition: there is a problem at least.
  Checked(std::vector<Remark> problems) : problems_(std::move(problems)) {
    KVASIR_ASSERT(!problems_.empty(), "neither a value nor a problem");
  }
  // About no line in particular.
  Checked(Error error) { problems_.push_back({0, std::move(error.message)}); }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }

  // Precondition: ok().
  T& value() & {
    KVASIR_ASSERT(ok(), "value() of what has problems");
    return *value_;
  }
  const T& value() const& {
    KVASIR_ASSERT(ok(), "value() of what has problems");
    return *value_;
  }
  T&& value() && {
    KVASIR_ASSERT(ok(), "value() of what has problems");
    return *std::move(value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // None when ok().
  const std::vector<Remark>& problems() const { return problems_; }
  // All of them, one a line, for whoever does not know the file. Precondition: !ok().
  Error error() const { return Error{to_string(problems_)}; }

 private:
  std::optional<T> value_;
  std::vector<Remark> problems_;
};

}  // namespace kvasir
