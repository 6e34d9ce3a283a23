#pragma once

#include <cstddef>
#include <span>

namespace kvasir {

// All of the pieces, one after another, to a file or a socket that waits. False: errno says why.
bool write_pieces(int to, std::span<const std::span<const std::byte>> pieces);

}  // namespace kvasir
