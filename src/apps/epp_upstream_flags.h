// The flags of upstream's picker that change nothing here, so that its deployments start: those whose default is what
// happens anyway are taken; one that asks for something that is not there refuses to start, and says what to do.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace kvasir {

class UpstreamFlags {
 public:
  // Adds them to `command`, hidden in a group of their own.
  static std::shared_ptr<UpstreamFlags> add_to(CLI::App& command);

  // What was asked for and is not there.
  Result<void> check() const;
  // Taken and without effect: for the log.
  std::vector<std::string> notes() const;

 private:
  struct Flag {
    std::string name;
    std::string value;  // as written; empty: not written
    std::string harmless;  // values that may be written, '|' between them; empty: any, noted
    std::string instead;   // what to do when another is written
  };

  std::vector<std::unique_ptr<Flag>> flags_;
};

}  // namespace kvasir
