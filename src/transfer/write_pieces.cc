#include "transfer/write_pieces.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace kvasir {
namespace {

constexpr size_t kPiecesOfWrite = 256;

}  // namespace

bool write_pieces(int to, std::span<const std::span<const std::byte>> pieces) {
  std::array<iovec, kPiecesOfWrite> parts;
  size_t first = 0, skipped = 0;  // of the first piece
  while (first < pieces.size()) {
    const size_t count = std::min(kPiecesOfWrite, pieces.size() - first);
    for (size_t i = 0; i < count; ++i) {
      const auto piece = pieces[first + i].subspan(i == 0 ? skipped : 0);
      parts[i] = {const_cast<std::byte*>(piece.data()), piece.size()};  // it is only read
    }
    const ssize_t written = writev(to, parts.data(), static_cast<int>(count));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    skipped += static_cast<size_t>(written);
    while (first < pieces.size() && skipped >= pieces[first].size()) {
      skipped -= pieces[first++].size();
    }
  }
  return true;
}

}  // namespace kvasir
