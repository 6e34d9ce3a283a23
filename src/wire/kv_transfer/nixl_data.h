// What simulated workers say on a data connection: frames, a head of fixed size and a body. The
// decoder asks (hello, read, stop, done, beat), the prefiller answers (data, end, noted).
//
// A real engine moves these bytes and notes with NIXL, whose wire is its own; so nobody else speaks
// this, and its version is part of the compatibility hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

enum class NixlFrameKind : uint8_t {
  kHello = 1,  // first on a connection: who is meant, and who asks
  kRead,       // blocks of one offer
  kStop,       // the read of this id is of no use any more
  kDone,       // all that was wanted of an offer was read: it ends
  kBeat,       // these offers are still wanted
  kData,       // a piece of a read's bytes, behind their checksum
  kEnd,        // of a read
  kNoted,      // of a done
};

struct NixlFrameHead {
  static constexpr size_t kBytes = 16;
  static constexpr size_t kChecksumBytes = 8;  // in front of a kData's bytes

  NixlFrameKind kind = NixlFrameKind::kHello;
  uint32_t body_bytes = 0;
  uint64_t id = 0;  // the decoder's; of a read or a done, and of what answers it
};
void write_nixl_frame_head(const NixlFrameHead& head, char* to);
// A frame with all of its body, behind what is in `out`.
void append_nixl_frame(std::string& out, NixlFrameKind kind, uint64_t id, std::string_view body);
// Precondition: kBytes can be read there. The error: no such kind.
Result<NixlFrameHead> read_nixl_frame_head(const char* from);

// --- Bodies. read_...() says in its error what is wrong. ---

struct NixlHello {
  std::string engine_id;  // of the prefiller; another one at each start
  std::string compatibility_hash;
};

enum class NixlEncoding : uint8_t {
  kHalf,    // as it is
  kInt8,    // transfer/int8_block.h
  kShared,  // the reader has copied it from shared memory: only whether it was there is asked
};

// The bytes of blocks[0], blocks[1], ...; by layers: the first slice of each, the second of each,
// ...
struct NixlRead {
  std::string request_id;  // of the offer
  // The hash of the last of these blocks: of the prompt up to there. Who knows it knows the prompt.
  uint64_t chain = 0;
  NixlEncoding encoding = NixlEncoding::kHalf;
  bool by_layers = false;
  std::vector<uint32_t> blocks;
};

struct NixlDone {
  std::string request_id;
  uint64_t blocks = 0;  // that were read
};

struct NixlEnd {
  enum class Status : uint8_t {
    kRead,     // all bytes were sent
    kRefused,  // `problem` says why
    kStopped,
  };
  Status status = Status::kRead;
  std::string problem;
};

std::string write_nixl_hello(const NixlHello& hello);
std::string write_nixl_read(const NixlRead& read);
std::string write_nixl_done(const NixlDone& done);
std::string write_nixl_beat(const std::vector<std::string_view>& request_ids);
std::string write_nixl_end(const NixlEnd& end);

Result<NixlHello> read_nixl_hello(std::string_view body);
Result<NixlRead> read_nixl_read(std::string_view body);
Result<NixlDone> read_nixl_done(std::string_view body);
// Views of the body.
Result<std::vector<std::string_view>> read_nixl_beat(std::string_view body);
Result<NixlEnd> read_nixl_end(std::string_view body);

}  // namespace kvasir
