#include "conformance/suite.h"

#include <algorithm>

namespace kvasir {
namespace {

bool selected(const Check& check, const std::string& wanted) {
  const std::string id = check.id;
  return id == wanted || id.rfind(wanted + ".", 0) == 0;
}

}  // namespace

size_t SuiteReport::count(CheckVerdict verdict) const {
  return static_cast<size_t>(
      std::count_if(results.begin(), results.end(),
                    [&](const CheckResult& result) { return result.finding.verdict == verdict; }));
}

size_t SuiteReport::count(CheckVerdict verdict, Severity severity) const {
  return static_cast<size_t>(
      std::count_if(results.begin(), results.end(), [&](const CheckResult& result) {
        return result.finding.verdict == verdict && result.check->severity == severity;
      }));
}

bool SuiteReport::conforms() const {
  return count(CheckVerdict::kFail, Severity::kMust) == 0 && count(CheckVerdict::kPass) > 0;
}

Result<std::vector<const Check*>> select_checks(const std::vector<std::string>& only) {
  std::vector<const Check*> checks;
  for (const std::string& wanted : only) {
    const auto& all = all_checks();
    if (std::none_of(all.begin(), all.end(),
                     [&](const Check& one) { return selected(one, wanted); })) {
      return Error{"there is no check '" + wanted + "': --list names them"};
    }
  }
  for (const Check& check : all_checks()) {
    const bool wanted =
        only.empty() || std::any_of(only.begin(), only.end(),
                                    [&](const std::string& id) { return selected(check, id); });
    if (wanted) checks.push_back(&check);
  }
  return checks;
}

SuiteReport run_suite(Subject& subject, const std::vector<const Check*>& checks,
                      const std::function<void(const CheckResult&)>& told) {
  SuiteReport report;
  for (const Check* check : checks) {
    report.results.push_back({check, check->run(subject)});
    if (told) told(report.results.back());
  }
  return report;
}

}  // namespace kvasir
