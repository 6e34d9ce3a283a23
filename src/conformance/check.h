// One thing that is demanded of an endpoint picker, and how a run found it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

class Subject;

enum class Severity : uint8_t {
  kMust,       // the protocol demands it: without it gateways fail
  kShould,     // a gateway may be configured so that it needs it
  kReference,  // llm-d's picker does so, and others may rely on it
};

enum class CheckVerdict : uint8_t { kPass, kFail, kSkip };

struct Finding {
  CheckVerdict verdict = CheckVerdict::kPass;
  std::string expected;  // of a failure
  std::string seen;      // of a skip: why it was skipped
};

Finding passed();
Finding failed(std::string expected, std::string seen);
Finding skipped(std::string reason);

struct Check {
  const char* id;
  const char* demand;  // one sentence
  const char* source;  // who demands it
  Severity severity;
  Finding (*run)(Subject& subject);
};

// Every check there is, in the order in which they run.
const std::vector<Check>& all_checks();

// What no check can see from outside, one sentence each.
const std::vector<const char*>& unseen_properties();

std::string_view name_of(Severity severity);
std::string_view name_of(CheckVerdict verdict);

}  // namespace kvasir
