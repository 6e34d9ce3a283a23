// The modules of src/: what each may include, what its files include, and what docs/ARCHITECTURE.md
// says.
#pragma once

#include <map>
#include <set>
#include <string>

namespace house {

using Names = std::set<std::string>;

// What a module needs of the others.
struct Needs {
  Names library, tests;  // tests: what only tests, fuzzers and benchmarks need
  Names all() const;
};

// The lists of each folder's CMakeLists.txt.
std::map<std::string, Needs> listed_needs();
// The #include lines of each folder's files.
std::map<std::string, Needs> included_needs();

// The folders of src/.
Names folders();
// Every source file, its path relative to src/, and what it includes of src/.
std::map<std::string, Names> included_files();
std::string module_of(const std::string& path);
// Tests, fuzzers, benchmarks and what is written for them (*_fixture.h).
bool is_test(const std::string& path);

// A row of the table of docs/ARCHITECTURE.md: | floor | folder | one sentence | DEPS |.
struct DocumentedModule {
  int floor = 0;
  Names deps;
};
std::map<std::string, DocumentedModule> documented_modules();

}  // namespace house
