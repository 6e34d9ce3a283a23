// The named policies of `--policy`: each is an EndpointPickerConfig, compiled as any file is
// (compile_preset(), config/compile.h), and the text to begin from for one's own
// (`kvasir config show kv`).
#pragma once

#include <span>
#include <string_view>

namespace kvasir {

// round-robin, random, least-load, load-cost, kv; and other routers' rules, to compare with:
// dynamo, lmetric, llm-d.
std::span<const std::string_view> policy_names();

// The text of one of them; empty when there is none of that name.
std::string_view preset_text(std::string_view policy);

}  // namespace kvasir
