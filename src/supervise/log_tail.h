// The end of a log file: what a program said last.
#pragma once

#include <cstdint>
#include <string>

namespace kvasir {

// The file's size in bytes; 0 when there is none.
uint64_t file_size(const std::string& path);

// The last `lines` lines that were written at or after byte `from`, joined by "; ". Reads 8 KiB at
// most.
std::string log_tail(const std::string& path, uint64_t from, size_t lines);

}  // namespace kvasir
