// The flags of gateway and picker about what engines say of their KV caches, and the tokens that it
// takes to use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "serving/kv_knowledge.h"

namespace CLI {
class App;
}

namespace kvasir {

struct PoolOptions;

struct KvKnowledgeFlags {
  std::string events;  // auto, off or an address; empty: as the configuration says
  std::string replay;
  std::string topic;
  std::string bind;
  uint32_t ranks = 1;
  std::string gap = "stale";
  size_t index_bytes = KvKnowledgeOptions().index_bytes_max;
  std::string tokenizer;  // a file or a folder; empty: none
  bool engine_tokens = true;
};

// `engines`: what the program calls them: "workers" or "endpoints".
void add_kv_flags(CLI::App& command, KvKnowledgeFlags& flags, const std::string& engines);
// The error names the flag.
Result<KvKnowledgeOptions> kv_options(const KvKnowledgeFlags& flags);
// The same, and what says where tokens come from; reads the tokenizer's files.
Result<void> read_kv_flags(const KvKnowledgeFlags& flags, PoolOptions& options);
// Says which flags have no effect while nobody listens to KV events; "": none.
std::string unused_kv_flags(const KvKnowledgeFlags& flags);

}  // namespace kvasir
