// A measurement in a process of its own: with a fresh heap, and with memory that can be counted.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>

namespace kvasir {

// What `measure` answers in a forked child. The program ends with an error when the child does.
// Precondition: this process has one thread.
nlohmann::json in_child(const std::function<nlohmann::json()>& measure);

// Bytes of pages that only this process has and has written to: in a forked child all that it made
// itself, however it was allocated.
uint64_t private_bytes();

}  // namespace kvasir
