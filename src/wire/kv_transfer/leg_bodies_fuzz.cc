// Every leg of any body is an object again, and none carries what the client said of workers.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "wire/json/json_value.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace {

void check(const std::string& leg, kvasir::RequestApi api) {
  const kvasir::Result<kvasir::LegBodies> again = kvasir::LegBodies::read(api, leg);
  KVASIR_ASSERT(again.ok(), "a leg is an object");
  const std::string clean = again->local();
  const kvasir::Result<kvasir::LegBodies> twice = kvasir::LegBodies::read(api, clean);
  KVASIR_ASSERT(twice.ok() && twice->local() == clean, "what is removed is removed at once");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvasir::KvDialect, kvasir::RequestApi;
  if (size < 2) return 0;
  constexpr RequestApi kApis[] = {RequestApi::kCompletions, RequestApi::kChatCompletions,
                                  RequestApi::kResponses, RequestApi::kAnthropicMessages,
                                  RequestApi::kVllmGenerate};
  const RequestApi api = kApis[data[0] % 5];
  const auto dialect = static_cast<KvDialect>(data[1] % 9);
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  const kvasir::Result<kvasir::LegBodies> legs = kvasir::LegBodies::read(api, body);
  if (!legs) return 0;
  const kvasir::LegFields fields{kvasir::kNixlPrefillParams};
  const std::string written[] = {legs->prefill(dialect, fields), legs->decode(dialect, fields),
                                 legs->local()};
  if (!kvasir::is_json(body)) return 0;  // what is wrong inside a value is not looked for
  for (const std::string& leg : written) check(leg, api);
  return 0;
}
