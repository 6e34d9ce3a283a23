// Reads a vLLM server's command line: `vllm serve MODEL --flag value ...`, as its guides write it.
//
// Taken: the model as a position, `_` for `-`, `=` or a blank before a value, short names (-tp 2,
// -O3), the beginning of a name when it is the only one (--max-num-seq), --no-NAME, 32k and auto,
// --config FILE, and JSON in pieces (--compilation-config.mode 3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct VllmCommandLine {
  // What is honoured, in the form --name value ...: each flag once, by its full name.
  std::vector<std::string> arguments;
  // The flags that were given and change nothing here, such as "--dtype"; each once.
  std::vector<std::string> without_effect;
};

// `arguments`: what follows `kvasir worker`. Each --args-file FILE stands for the words of that
// file. A leading `serve`, `vllm serve` or `python3 -m vllm....` is skipped. The error names the
// flag; for an unknown one, what may have been meant.
Result<VllmCommandLine> read_vllm_command_line(const std::vector<std::string>& arguments);

// The value of --max-model-len when it is to be found out: "auto" or -1.
inline constexpr std::string_view kAutoLength = "auto";

}  // namespace kvasir
