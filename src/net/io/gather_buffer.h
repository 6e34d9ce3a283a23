// Output for one writev: small pieces copied together, large ones borrowed. Private to net/.
//
// Whatever is borrowed must stay where it is until write() has returned: what the socket did not
// take is then copied into the OutputQueue.
#pragma once

#include <string_view>
#include <vector>

#include "net/io/byte_buffer.h"
#include "net/io/output_queue.h"

namespace kvasir {

class GatherBuffer {
 public:
  // Pieces below this are cheaper to copy than to hand to the kernel on their own.
  static constexpr size_t kBorrowedBytesMin = 4096;

  void append(std::string_view bytes);
  // Copies or borrows, by size.
  void append_stable(std::string_view bytes);
  size_t size() const { return size_; }

  // Sends everything behind what `queue` holds and empties this. False when the connection is
  // broken.
  bool write(int socket, OutputQueue& queue);
  // Hands everything to `take(bytes)`, piece by piece, and empties this; stops when that returns
  // false, and returns so.
  template <class Take>
  bool hand_over(Take take) {
    bool going = true;
    for (size_t i = 0; going && i < pieces_.size(); ++i) going = take(bytes_of(pieces_[i]));
    clear();
    return going;
  }

 private:
  struct Piece {
    const char* borrowed;  // null: the bytes are in copied_, at offset
    size_t offset;
    size_t size;
  };
  std::string_view bytes_of(const Piece& piece) const;
  void clear();
  bool write_pieces(int socket, OutputQueue& queue);

  std::vector<Piece> pieces_;
  ByteBuffer copied_;
  size_t size_ = 0;
};

}  // namespace kvasir
