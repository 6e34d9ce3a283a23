// KVASIR_ASSERT(condition, "what must hold"): checked in every build. For what cannot happen; whatever
// can happen (input, networks, files) is a Result.
#pragma once

namespace kvasir {
[[noreturn]] void assertion_failed(const char* condition, const char* message, const char* file,
                                   int line);
}  // namespace kvasir

#define KVASIR_ASSERT(condition, message)                                      \
  (static_cast<bool>(condition)                                                \
       ? static_cast<void>(0)                                                  \
       : ::kvasir::assertion_failed(#condition, message, __FILE__, __LINE__))
