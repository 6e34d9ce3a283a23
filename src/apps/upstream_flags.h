// Flags of the programs whose place ours takes, and what becomes of them here: honoured, taken
// without effect (and said so in one warning), or refused with a way out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace kvasir {

enum class FlagEffect : uint8_t {
  kHonoured,       // the command adds it itself
  kWithoutEffect,  // taken
  kRefused,        // unless its value asks for what happens anyway
};

struct UpstreamFlag {
  std::string_view name;
  FlagEffect effect;
  // What happens anyway, so that asking for it is neither refused nor warned of; empty: nothing.
  std::string_view harmless;
  std::string_view text;     // what it does, why it does nothing, or what to do instead
  bool is_switch = false;    // the flag alone means true, and a value stands behind "="
  bool is_duration = false;  // what is not one is refused, whatever becomes of the flag
};

std::string_view to_string(FlagEffect effect);

// What the command line says of those that are not honoured.
class UpstreamFlags {
 public:
  // Adds those of `table` to `command`, hidden in a group of their own. The table outlives it.
  static std::shared_ptr<UpstreamFlags> add_to(CLI::App& command,
                                               std::span<const UpstreamFlag> table);

  // What was asked for and is not there.
  Result<void> check() const;
  // One line of those that were taken without effect; empty when there are none.
  std::string warning() const;

 private:
  struct Written {
    const UpstreamFlag& flag;
    std::string value;  // empty: not written
  };

  static std::string normal(const Written& written);

  std::vector<std::unique_ptr<Written>> written_;
};

// Charts leave empty words where an option is switched off, and Go's programs pass over them:
// `arguments` without those that are no option's value.
std::vector<std::string> without_empty_words(const CLI::App& command,
                                             std::vector<std::string> arguments);

}  // namespace kvasir
