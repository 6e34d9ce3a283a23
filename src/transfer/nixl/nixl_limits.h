// How much a NixlConnector takes of its peers, and for how long it waits for them.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace kvasir {

struct NixlLimits {
  // Side channel.
  size_t side_message_bytes_max = size_t{64} << 10;
  Duration handshake_timeout = std::chrono::seconds(5);  // vLLM's

  // Data connections, both sides.
  Duration connect_timeout = std::chrono::seconds(5);
  Duration stall_timeout = std::chrono::seconds(10);  // without a byte while some are owed
  size_t chunk_bytes = size_t{256} << 10;             // under one checksum
  size_t chunk_pieces_max = 1000;                     // of memory; the system takes 1,024

  // Of a prefiller.
  size_t connections_max = 1024;
  size_t frame_bytes_max = size_t{4} << 20;   // that a decoder may send; a block's number takes 5
  size_t reads_max = 1024;                    // unanswered, of one connection
  size_t refusals_most = 16;                  // of one connection, which is closed then
  size_t answer_bytes_max = size_t{1} << 20;  // small answers that a decoder does not take
  Duration lease_total_max = std::chrono::minutes(10);  // whatever the heartbeats say

  // Of a decoder.
  size_t prefillers_max = 1024;
  size_t attempts_most = 2;  // to reach a prefiller, or to read from it
  Duration retry_after = std::chrono::milliseconds(100);
  size_t sent_bytes_max = size_t{16} << 20;          // that a prefiller does not take
  size_t answer_frame_bytes_max = size_t{64} << 10;  // other than blocks
  Duration idle_max = std::chrono::seconds(60);      // of a prefiller nobody needs
  size_t copy_bytes = size_t{1} << 20;               // from shared memory, in one turn
  size_t records_max = 10'000;                       // of transfers, for the metrics
};

}  // namespace kvasir
