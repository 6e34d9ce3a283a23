#include "gateway/leg_answers.h"

#include "net/http/http_status.h"

namespace kvasir {

void tell_bad_answer(GatewayProbe& probe, const LegsReport& report) {
  const bool left = report.status == kHttpClientClosedRequest;
  const bool ours = !report.why.empty();
  if (left || (!ours && !report.is_cut && report.status < kHttpServerErrors)) return;
  std::string_view why = report.why;
  if (!ours) why = report.is_cut ? "it broke off" : "the error is its own";
  probe.on_bad_answer({report.request_id, report.decoder, report.status, report.is_cut, why});
}

}  // namespace kvasir
