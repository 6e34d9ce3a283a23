#include <algorithm>

#include "conformance/checks.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

constexpr char kSpecSubset[] = "proposal 004, endpoint subset";
constexpr char kUnknownEndpoint[] = "203.0.113.7:9999";  // RFC 5737: no pool has it
constexpr int kSubsetRepeats = 6;

using Subset = std::vector<std::string>;

RequestScript hinted(Subject& subject, const Subset& subset) {
  RequestScript script = completion(subject);
  script.context.subset.emplace(subset.begin(), subset.end());
  return script;
}

std::string joined(const Subset& subset) {
  std::string text;
  for (const std::string& entry : subset) text += (text.empty() ? "" : ", ") + entry;
  return "[" + text + "]";
}

// Every one of several picks starts with an entry of the subset.
Finding picks_from(Subject& subject, const Subset& subset) {
  for (int i = 0; i < kSubsetRepeats; ++i) {
    const RequestPhase phase = ask(subject, hinted(subject, subset));
    if (!phase.pick()) return failed("a pick from " + joined(subset), phase.instead());
    for (const std::string& endpoint : split_picks(*phase.pick())) {
      const bool inside = std::any_of(subset.begin(), subset.end(), [&](const std::string& entry) {
        return endpoint == entry || endpoint.substr(0, endpoint.rfind(':')) == entry;
      });
      if (!inside) return failed("a pick from " + joined(subset), endpoint);
    }
  }
  return passed();
}

Finding one(Subject& subject) {
  const std::vector<std::string>& pool = subject.endpoints();
  if (pool.size() < 2) return skipped("needs two endpoints, known or learned");
  return picks_from(subject, {pool.back()});
}

Finding two(Subject& subject) {
  const std::vector<std::string>& pool = subject.endpoints();
  if (pool.size() < 3) return skipped("needs three endpoints, known or learned");
  return picks_from(subject, {pool[0], pool[2]});
}

Finding ip_only(Subject& subject) {
  const std::vector<std::string>& pool = subject.endpoints();
  const auto ip_of = [](const std::string& endpoint) {
    return endpoint.substr(0, endpoint.rfind(':'));
  };
  for (const std::string& other : pool) {
    if (ip_of(other) != ip_of(pool.back())) return picks_from(subject, {ip_of(pool.back())});
  }
  return skipped("needs two endpoints with different addresses, known or learned");
}

Finding mixed(Subject& subject) {
  const std::vector<std::string>& pool = subject.endpoints();
  if (pool.size() < 2) return skipped("needs two endpoints, known or learned");
  return picks_from(subject, {kUnknownEndpoint, pool.back()});
}

Finding refused(Subject& subject, const Subset& subset) {
  const RequestPhase phase = ask(subject, hinted(subject, subset));
  if (phase.immediate != nullptr && phase.immediate->status == 503) return passed();
  return failed("an ImmediateResponse with status 503", phase.instead());
}

Finding unknown(Subject& subject) {
  return refused(subject, {kUnknownEndpoint});
}
Finding empty(Subject& subject) {
  return refused(subject, {});
}

Finding absent(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  return phase.pick() ? passed() : failed("a pick", phase.instead());
}

Finding reason(Subject& subject) {
  const RequestPhase phase = ask(subject, hinted(subject, {kUnknownEndpoint}));
  if (phase.immediate == nullptr) return skipped("it was not refused: " + phase.instead());
  const auto value = phase.immediate->set_header("x-llm-d-request-dropped-reason");
  return value == "rejected-no-endpoints"
             ? passed()
             : failed("rejected-no-endpoints", value ? std::string(*value) : "no such header");
}

}  // namespace

std::vector<Check> subset_checks() {
  return {
      {"subset.one", "With a hint of one endpoint, that one is picked.", kSpecSubset,
       Severity::kMust, one},
      {"subset.two", "With a hint of two endpoints, one of them is picked.", kSpecSubset,
       Severity::kMust, two},
      {"subset.mixed", "Entries that are not in the pool do not hinder those that are.",
       kSpecSubset, Severity::kMust, mixed},
      {"subset.ip_only", "An entry without a port stands for every port of that address.",
       "reference EPP and lwepp: subset matching", Severity::kReference, ip_only},
      {"subset.unknown",
       "With a hint that holds no endpoint of the pool, the answer is 503 at once.", kSpecSubset,
       Severity::kMust, unknown},
      {"subset.empty", "With a hint that is an empty list, the answer is 503 at once.", kSpecSubset,
       Severity::kMust, empty},
      {"subset.absent", "Without a hint, any endpoint of the pool may be picked.", kSpecSubset,
       Severity::kMust, absent},
      {"subset.reason",
       "The 503 says why in x-llm-d-request-dropped-reason: rejected-no-endpoints.",
       "reference EPP: error mapping", Severity::kReference, reason},
  };
}

}  // namespace kvasir
