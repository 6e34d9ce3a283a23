// The flags of a vLLM server: what each takes, and what it does to the simulated one.
//
// They are those of vLLM 0.33, and those of earlier versions that guides still show. Names are
// facts about another program: this table is all that the worker knows of them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kvasir {

struct VllmFlag {
  enum class Takes : uint8_t {
    kSwitch,  // no value; --no-NAME turns it off, and --disable-X is --enable-X turned off
    kValue,
    kJson,           // an object; its members can be given one by one: --NAME.member value
    kValues,         // one or more, up to the next flag
    kOptionalValue,  // one or none
    kCount,          // a whole number that may end in k, m, g (thousands) or K, M, G (1024)
  };
  enum class Effect : uint8_t {
    kHonoured,
    kNone,     // taken, and named at start as without effect
    kAlways,   // always so here; turning it off has no effect
    kRefused,  // what it asks for changes how clients reach the server, and is not there
    kFile,     // names a file of flags
  };
  std::string_view name;  // without its dashes
  Takes takes;
  Effect effect;
  std::string_view other_names = {};  // with their dashes, separated by blanks
};

// In the order of their names. Also holds the worker's own flags, so that all are read alike.
std::span<const VllmFlag> vllm_flags();

}  // namespace kvasir
