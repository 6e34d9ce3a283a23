// What is told of answers that the gateway's legs brought, whatever sent the request there. Private
// to gateway/.
#pragma once

#include "gateway/probe.h"

namespace kvasir {

// Tells the probe of an answer that was not good: an error of the worker's or of ours, or half an
// answer. Not of clients that left.
void tell_bad_answer(GatewayProbe& probe, const LegsReport& report);

}  // namespace kvasir
