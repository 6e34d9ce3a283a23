// What is wrong with one field of a Kubernetes object.
#pragma once

#include <string>
#include <vector>

namespace kvasir {

struct KubeProblem {
  std::string path;  // "spec.targetPorts[0].number"; empty: the object as a whole
  std::string text;

  bool operator==(const KubeProblem&) const = default;
};

std::string to_string(const KubeProblem& problem);                // "PATH: TEXT"
std::string to_string(const std::vector<KubeProblem>& problems);  // one a line

}  // namespace kvasir
