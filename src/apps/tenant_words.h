// What metrics and logs call what becomes of a tenant's request.
#pragma once

#include <string_view>

#include "gateway/visit_report.h"

namespace kvasir {

constexpr std::string_view word_of(TenantRefusal refusal) {
  switch (refusal) {
    case TenantRefusal::kNone:
      return "";
    case TenantRefusal::kNoKey:
      return "no-key";
    case TenantRefusal::kUnknownKey:
      return "unknown-key";
    case TenantRefusal::kModel:
      return "model";
    case TenantRefusal::kRequests:
      return "requests-per-minute";
    case TenantRefusal::kTokens:
      return "tokens-per-minute";
    case TenantRefusal::kConcurrency:
      return "concurrency";
  }
  return "";
}

constexpr std::string_view word_of(VisitEnd end) {
  switch (end) {
    case VisitEnd::kComplete:
      return "complete";
    case VisitEnd::kCut:
      return "cut";
    case VisitEnd::kClientGone:
      return "client-gone";
  }
  return "";
}

}  // namespace kvasir
