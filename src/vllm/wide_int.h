// Integers as they stand in a request, before their range is known.
#pragma once

#include <cstdint>
#include <string>

namespace kvasir {

// Wide enough that every bound of the API can be compared; larger integers are cut to kWidest.
__extension__ using WideInt = __int128;
inline constexpr WideInt kWidest = static_cast<WideInt>(1) << 120;
inline constexpr WideInt kInt64Min = INT64_MIN;
inline constexpr WideInt kInt64Max = INT64_MAX;
inline constexpr WideInt kUint64Max = UINT64_MAX;

// The digits of a number.
std::string to_text(WideInt value);

}  // namespace kvasir
