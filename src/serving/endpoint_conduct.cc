#include "serving/endpoint_conduct.h"

#include "serving/pool.h"

namespace kvasir {

void EndpointConduct::good() {
  FleetFeeds* feeds = pool_.feeds();
  if (feeds == nullptr) return;
  if (OutlierEjection* outliers = feeds->outliers()) outliers->succeeded(endpoint_);
  feeds->report_served(endpoint_);
}

// A refusal is quick, too: it must not be taken for speed.
void EndpointConduct::full() {
  good();
  avoid(endpoint_, pool_.options().journey.failure_pause);
}

void EndpointConduct::faulty() {
  faulty(endpoint_);
}

// Failing is quick, and leaves an endpoint idle that must not be taken for a fast one.
void EndpointConduct::faulty(EndpointId endpoint) {
  avoid(endpoint, pool_.options().journey.fault_pause);
  FleetFeeds* feeds = pool_.feeds();
  OutlierEjection* outliers = feeds == nullptr ? nullptr : feeds->outliers();
  if (outliers != nullptr) outliers->failed(endpoint);
}

void EndpointConduct::blame() {
  blamed_.push_back(endpoint_);
  avoid(endpoint_, pool_.options().journey.failure_pause);
}

void EndpointConduct::bad() {
  if (blamed_.empty()) faulty(endpoint_);
  blamed_.clear();
}

void EndpointConduct::answered() {
  for (const EndpointId endpoint : blamed_) faulty(endpoint);
  blamed_.clear();
}

void EndpointConduct::unanswered() {
  if (blamed_.size() == 1) faulty(blamed_.front());
  blamed_.clear();
}

void EndpointConduct::not_connected() {
  if (FleetFeeds* feeds = pool_.feeds()) feeds->report_connect_failure(endpoint_);
}

void EndpointConduct::closed() {
  if (FleetFeeds* feeds = pool_.feeds()) feeds->report_closed(endpoint_);
}

void EndpointConduct::avoid(EndpointId endpoint, Duration pause) {
  if (pause > Duration::zero()) pool_.scheduler().avoid(endpoint, pause);
}

}  // namespace kvasir
