#include "wire/kube/kube_problem.h"

namespace kvasir {

std::string to_string(const KubeProblem& problem) {
  return problem.path.empty() ? problem.text : problem.path + ": " + problem.text;
}

std::string to_string(const std::vector<KubeProblem>& problems) {
  std::string text;
  for (const KubeProblem& problem : problems) {
    text.append(text.empty() ? "" : "\n").append(to_string(problem));
  }
  return text;
}

}  // namespace kvasir
