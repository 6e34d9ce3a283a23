// Prints docs/plugins.md: plugin_docs SOURCE_TREE. `make docs` calls it.
#include <iostream>

#include "plugin_docs.h"
#include "plugins/plugin_roster.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: plugin_docs SOURCE_TREE\n";
    return 2;
  }
  const kvasir::Registry registry = kvasir::plugin_registry({}).value();
  std::cout << kvasir::plugin_document(registry, kvasir::read_plugin_comments(argv[1], registry));
  return 0;
}
