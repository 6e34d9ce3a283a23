// Runs the checks against a picker, and tells how it went.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conformance/check.h"
#include "conformance/subject.h"

namespace kvasir {

struct CheckResult {
  const Check* check;
  Finding finding;
};

struct SuiteReport {
  std::vector<CheckResult> results;
  size_t count(CheckVerdict verdict) const;
  size_t count(CheckVerdict verdict, Severity severity) const;
  // No MUST failed and not everything was skipped.
  bool conforms() const;
};

// The checks whose id is, or begins with "ID.", one of `only`; all when it is empty. An id that
// names none is an error.
Result<std::vector<const Check*>> select_checks(const std::vector<std::string>& only);

// Runs them in order; `told` hears of each when it is done. A picker that is lost on the way fails
// what is left.
SuiteReport run_suite(Subject& subject, const std::vector<const Check*>& checks,
                      const std::function<void(const CheckResult&)>& told);

// For people: one line of the table, and what follows the table.
std::string table_line(const CheckResult& result);
std::string closing_text(const SuiteReport& report);
// For machines.
std::string report_json(const SuiteReport& report);
std::string report_junit(const SuiteReport& report);

// The table of --list.
std::string list_text(const std::vector<const Check*>& checks);

}  // namespace kvasir
