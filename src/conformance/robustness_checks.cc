#include <memory>

#include "conformance/checks.h"
#include "conformance/health_probe.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

constexpr char kGrpc[] = "gRPC: calls are independent";
constexpr size_t kInterleaved = 8;
constexpr int kResets = 200;

Finding still_alive(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  return phase.pick() ? passed() : failed("a pick for the next exchange", phase.instead());
}

// Bodies of several exchanges arrive piece by piece in turn; each must get its own back.
Finding independent(Subject& subject) {
  std::vector<std::unique_ptr<ScriptedExchange>> exchanges;
  std::vector<RequestScript> scripts;
  for (size_t i = 0; i < kInterleaved; ++i) {
    scripts.push_back(completion(subject));
    exchanges.push_back(std::make_unique<ScriptedExchange>(subject));
    std::vector<ExtProcHeader> headers;
    for (const OwnedHeader& header : scripts[i].headers)
      headers.push_back({header.key, header.value});
    exchanges[i]->send_headers(ExtProcSide::kRequest, headers, false);
  }
  for (size_t offset = 0; offset < scripts[0].body.size() + 16; offset += 16) {
    for (size_t i = 0; i < kInterleaved; ++i) {
      if (offset >= scripts[i].body.size()) continue;
      const std::string piece = scripts[i].body.substr(offset, 16);
      exchanges[i]->send_body(ExtProcSide::kRequest, piece, offset + 16 >= scripts[i].body.size());
      exchanges[i]->flush();
    }
  }
  for (size_t i = kInterleaved; i-- > 0;) {
    const RequestPhase phase = take_request_phase(*exchanges[i], scripts[i]);
    if (!phase.pick()) return failed("a pick for each exchange", phase.instead());
    if (phase.body != scripts[i].body) return failed(scripts[i].body, phase.body);
  }
  return passed();
}

Finding resets(Subject& subject) {
  for (int i = 0; i < kResets; ++i) {
    const RequestScript script = completion(subject);
    ScriptedExchange exchange(subject);
    exchange.send_headers(ExtProcSide::kRequest, {{":path", subject.options().path}}, false);
    exchange.send_body(ExtProcSide::kRequest, script.body, i % 2 == 0);
    exchange.flush();
  }
  return still_alive(subject);
}

// The stream of the garbage must end; another, open at the time, must not.
Finding garbage(Subject& subject) {
  const RequestScript script = completion(subject);
  ScriptedExchange bystander(subject);
  std::vector<ExtProcHeader> headers;
  for (const OwnedHeader& header : script.headers) headers.push_back({header.key, header.value});
  bystander.send_headers(ExtProcSide::kRequest, headers, false);
  ScriptedExchange exchange(subject);
  exchange.send_bytes("\xff\xff this is no ProcessingRequest");
  if (!exchange.wait_for_end())
    return failed("the end of the stream that sent garbage", exchange.trouble());
  bystander.send_body(ExtProcSide::kRequest, script.body, true);
  const RequestPhase phase = take_request_phase(bystander, script);
  return phase.pick() ? passed() : failed("a pick for the exchange beside it", phase.instead());
}

Finding unknown_fields(Subject& subject) {
  RequestScript script = completion(subject);
  script.context.unknown_fields = true;
  const RequestPhase phase = ask(subject, script);
  return phase.pick() ? passed() : failed("a pick", phase.instead());
}

Finding alive_after_all(Subject& subject) {
  const std::string health = probe_health(subject, "");
  if (health != "SERVING") return failed("SERVING", health);
  return still_alive(subject);
}

}  // namespace

std::vector<Check> robustness_checks() {
  return {
      {"stream.independent", "Exchanges that run at the same time do not mix.", kGrpc,
       Severity::kMust, independent},
      {"stream.resets", "Clients that give up early, 200 of them, do no harm.",
       "Envoy ends every ext_proc stream with RST_STREAM", Severity::kMust, resets},
      {"stream.unknown_fields", "Fields, attributes and metadata that are not known are skipped.",
       "protobuf", Severity::kMust, unknown_fields},
      {"stream.garbage", "A message that is not protobuf ends its own stream, and no other.", kGrpc,
       Severity::kMust, garbage},
      {"health.after_abuse",
       "After all of this the health is SERVING, and a request gets its pick.",
       "reference EPP: health service", Severity::kMust, alive_after_all},
  };
}

}  // namespace kvasir
