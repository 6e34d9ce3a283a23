#include "gateway/visits.h"

#include "gateway/visit.h"

namespace kvasir {

Visits::Visits(Executor& executor, GatewayProbe& probe) : executor_(executor), probe_(probe) {}

Visits::~Visits() {
  for (const auto& [visit, owned] : visits_) visit->end(VisitEnd::kCut);
}

Visit& Visits::begin(HttpExchange& exchange) {
  auto visit = std::make_unique<Visit>(*this, exchange, now());
  Visit* const key = visit.get();
  visits_.emplace(key, std::move(visit));
  return *key;
}

void Visits::remove(Visit& visit) {
  visits_.erase(&visit);
}

}  // namespace kvasir
