#include <iostream>

#include "apps/commands.h"

namespace kvasir {

int fail_command(std::string_view command, int exit_code, std::string_view message) {
  std::cerr << "kvasir " << command << ": " << message << "\n";
  return exit_code;
}

}  // namespace kvasir
