#include <algorithm>

#include "base/text.h"
#include "conformance/checks.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

constexpr char kSpecPick[] = "proposal 004, picked endpoints";
constexpr char kReferencePick[] = "reference EPP: request headers";
// Documentation addresses (RFC 5737): no pool has them.
constexpr char kForeignEndpoint[] = "203.0.113.7:9999";
constexpr int kRepeats = 6;

Finding header_present(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  if (phase.header_pick()) return passed();
  return failed("a header mutation that sets x-gateway-destination-endpoint", phase.instead());
}

Finding metadata_present(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  if (phase.metadata_pick()) return passed();
  return failed("dynamic_metadata envoy.lb / x-gateway-destination-endpoint, a string",
                phase.instead());
}

Finding both_agree(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  if (!phase.header_pick() || !phase.metadata_pick()) return skipped("one of the two is missing");
  if (phase.header_pick() == phase.metadata_pick()) return passed();
  return failed("the same value in both",
                "header " + *phase.header_pick() + ", metadata " + *phase.metadata_pick());
}

Finding form(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  if (!phase.pick()) return skipped("no pick: " + phase.instead());
  const std::vector<std::string> picks = split_picks(*phase.pick());
  const bool good = !picks.empty() && std::all_of(picks.begin(), picks.end(), is_ip_and_port);
  return good ? passed() : failed("ip:port[,ip:port...]", "'" + *phase.pick() + "'");
}

Finding member(Subject& subject) {
  const std::vector<std::string>& pool = subject.options().endpoints;
  if (pool.empty()) return skipped("the pool is not known: give --endpoints");
  for (int i = 0; i < kRepeats; ++i) {
    const RequestPhase phase = ask(subject, completion(subject));
    if (!phase.pick()) return failed("a pick", phase.instead());
    for (const std::string& endpoint : split_picks(*phase.pick())) {
      if (std::find(pool.begin(), pool.end(), endpoint) == pool.end()) {
        return failed("an endpoint of the pool", endpoint);
      }
    }
  }
  return passed();
}

Finding clear_route_cache(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  if (phase.headers == nullptr) return skipped("no answer to the headers: " + phase.instead());
  return phase.headers->clear_route_cache ? passed()
                                          : failed("clear_route_cache: true", "it is not set");
}

// A client that names its destination itself must not get it.
Finding client_destination(Subject& subject) {
  RequestScript script = completion(subject);
  script.headers.push_back({kDestinationHeader, kForeignEndpoint});
  const RequestPhase phase = ask(subject, script);
  if (phase.immediate != nullptr) return passed();  // refusing it is safe, too
  if (phase.headers == nullptr) return failed("a pick of the picker's own", phase.instead());
  for (const ExtProcHeader& header : phase.headers->set_headers) {
    if (equal_ignoring_case(header.key, kDestinationHeader) &&
        header.value.find(kForeignEndpoint) != std::string_view::npos) {
      return failed("only the picker's own destination",
                    "the client's, " + std::string(header.value));
    }
  }
  const std::string metadata = phase.metadata_pick().value_or("");
  return metadata.find(kForeignEndpoint) == std::string::npos
             ? passed()
             : failed("only the picker's own destination", "the client's in the metadata");
}

Finding pseudo_headers(Subject& subject) {
  const RequestScript script = completion(subject);
  const RequestPhase phase = ask(subject, script);
  if (phase.headers == nullptr) return skipped("no answer to the headers: " + phase.instead());
  for (const ExtProcHeader& set : phase.headers->set_headers) {
    if (set.key.substr(0, 1) != ":") continue;
    const bool unchanged = std::any_of(
        script.headers.begin(), script.headers.end(),
        [&](const OwnedHeader& sent) { return sent.key == set.key && sent.value == set.value; });
    if (!unchanged) {
      return failed("pseudo-headers left out or as they came",
                    std::string(set.key) + ": " + std::string(set.value));
    }
  }
  return passed();
}

Finding control_headers(Subject& subject) {
  RequestScript script = completion(subject);
  for (const char* name : {"x-llm-d-inference-fairness-id", "x-gateway-inference-fairness-id"}) {
    script.headers.push_back({name, "tenant-1"});
  }
  script.headers.push_back({"x-llm-d-slo-ttft-ms", "500"});
  script.headers.push_back({"x-slo-tpot-ms", "not a number"});
  const RequestPhase phase = ask(subject, script);
  return phase.pick() ? passed() : failed("a pick", phase.instead());
}

Finding order(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  if (phase.headers == nullptr) return skipped("no answer to the headers: " + phase.instead());
  return phase.body_before_headers ? failed("the answer to the headers, then those to the body",
                                            "a body answer came first")
                                   : passed();
}

// Whoever answers before the body is there cannot have read it. What is not sent is given time by
// an exchange that is played in full meanwhile.
Finding deferred(Subject& subject) {
  RequestScript script = completion(subject);
  ScriptedExchange waiting(subject);
  std::vector<ExtProcHeader> headers;
  for (const OwnedHeader& header : script.headers) headers.push_back({header.key, header.value});
  script.context.protocol = ExtProcProtocol{ExtProcBodyMode::kFullDuplexStreamed,
                                            ExtProcBodyMode::kFullDuplexStreamed, false};
  waiting.send_headers(ExtProcSide::kRequest, headers, false, script.context);
  waiting.send_body(ExtProcSide::kRequest, script.body.substr(0, 10), false);
  ask(subject, completion(subject));
  if (const ReceivedPtr early = waiting.next_waiting()) {
    return failed("nothing before the body has ended", describe(early->answer));
  }
  if (waiting.ended()) return failed("an open stream", waiting.trouble());
  waiting.send_body(ExtProcSide::kRequest, std::string_view(script.body).substr(10), true);
  const RequestPhase phase = take_request_phase(waiting, script);
  return phase.pick() ? passed() : failed("a pick when the body has ended", phase.instead());
}

}  // namespace

std::vector<Check> pick_checks() {
  return {
      {"pick.header", "The pick is set as the request header x-gateway-destination-endpoint.",
       kSpecPick, Severity::kMust, header_present},
      {"pick.metadata", "The pick is set as dynamic metadata of that name in envoy.lb.", kSpecPick,
       Severity::kMust, metadata_present},
      {"pick.agree", "Header and metadata hold the same value.", kSpecPick, Severity::kMust,
       both_agree},
      {"pick.form", "The pick is ip:port, or a comma list of them.", kSpecPick, Severity::kMust,
       form},
      {"pick.member", "The pick is in the pool.", kSpecPick, Severity::kMust, member},
      {"pick.clear_route_cache",
       "The answer to the headers clears the route cache, so that routes on the new header are "
       "found.",
       kReferencePick, Severity::kReference, clear_route_cache},
      {"order.headers_then_body", "Answers come in the order headers, body, trailers.",
       "Envoy ext_proc, FULL_DUPLEX_STREAMED", Severity::kMust, order},
      {"order.headers_deferred", "The headers are answered when the body has ended, not before.",
       kReferencePick, Severity::kReference, deferred},
      {"headers.client_destination",
       "A destination header that the client sent is neither the pick nor passed on with it.",
       kSpecPick, Severity::kMust, client_destination},
      {"headers.pseudo", "Pseudo-headers are left out of the mutation, or repeated unchanged.",
       "Envoy ext_proc, header mutation rules", Severity::kShould, pseudo_headers},
      {"headers.control",
       "Control headers in their old and new names, and with values that are not numbers, do not "
       "hinder the pick.",
       "reference EPP: header names", Severity::kReference, control_headers},
  };
}

}  // namespace kvasir
