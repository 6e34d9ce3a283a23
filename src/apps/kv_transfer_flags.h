// The flags and variables by which a worker's KV blocks get bytes and travel: vLLM's
// --kv-transfer-config with VLLM_NIXL_SIDE_CHANNEL_HOST, _PORT and LMCACHE_REMOTE_URL, and ours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "transfer/kv_transfer_config.h"

namespace kvasir {

// A token's KV in a real engine is so many times larger than in ours.
inline constexpr uint32_t kKvScale = 1024;
inline constexpr uint32_t kKvScaleMost = 1 << 24;

struct KvTransferFlags {
  std::string kv_transfer_config;    // JSON; empty: not given
  std::optional<uint32_t> kv_bytes;  // the scale; 0: blocks have no bytes
};

// A connector that vLLM has and nobody simulates: takes it out of `flags`, so that nothing travels,
// and returns why, for the log. Of a MultiConnector's the first that is simulated stays, alone.
// Empty: what is asked for is there, or refused by kv_transfer_options().
std::string take_out_unsimulated(KvTransferFlags& flags);

// nullopt: nothing travels. `rank`: of data parallelism, added to the side channel's port, as vLLM
// does it. The error names the flag or the variable.
Result<std::optional<KvTransferConfig>> kv_transfer_options(const KvTransferFlags& flags,
                                                            uint32_t rank = 0);

// Of the bytes of blocks; 0: they have none. The error names the flag.
Result<uint32_t> kv_bytes_scale(const KvTransferFlags& flags);

// The line of the log that says what travels how.
std::string describe(const KvTransferConfig& config);

// Who else can reach the KV blocks; empty: nobody beyond this machine.
std::string kv_transfer_warning(const KvTransferConfig& config);

}  // namespace kvasir
