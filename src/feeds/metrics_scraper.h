// Reads every endpoint's metrics, round after round, and publishes each round as one snapshot.
//
// One kept-alive connection for each endpoint and source. An endpoint that does not answer holds
// nobody up: what came is published when all the others have answered, or when the next round is
// due. A failed scrape leaves the old values, whose age can be seen (EngineMetrics::read_at), until
// they are older than the source's TTL. When the rounds cannot be kept up, they become rarer
// (feeds/scrape_pace.h). Follows the fleet's membership by itself. Lives on one loop's thread.
#pragma once

#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "feeds/address_book.h"
#include "feeds/page_probe.h"
#include "feeds/scrape_plan.h"
#include "fleet/fleet.h"

namespace kvasir {

class EventLoop;

class ScrapeProbe : public virtual PageProbe {
 public:
  // What is read from now on.
  virtual void on_scrape_plan(const ScrapePlan& plan) { static_cast<void>(plan); }
  // A source could not be read: `extract` when a page came that holds nothing of what is wanted.
  // The first of a row of failures of that endpoint has `first` set.
  virtual void on_scrape_failed(const Endpoint& endpoint, std::string_view source_type,
                                bool extract, std::string_view why, bool first) {
    static_cast<void>(endpoint), static_cast<void>(source_type), static_cast<void>(extract);
    static_cast<void>(why), static_cast<void>(first);
  }
  // Rounds became rarer than asked, or are as asked again.
  virtual void on_scrape_pace(std::string_view source_type, Duration interval, bool stretched) {
    static_cast<void>(source_type), static_cast<void>(interval), static_cast<void>(stretched);
  }
};

struct ScrapeCounts {
  uint64_t pages = 0;  // read and understood
  uint64_t poll_errors = 0;
  uint64_t extract_errors = 0;
};

class MetricsScraper {
 public:
  // Connects to that many endpoints at once; the others of a round wait for their turn.
  static constexpr size_t kAtOnceMax = 128;
  // A longer page is given up.
  static constexpr size_t kPageBytesMax = 4 * 1024 * 1024;

  // All references must outlive the scraper.
  MetricsScraper(EventLoop& loop, Fleet& fleet, const AddressBook& addresses, ScrapeProbe& probe,
                 const Clock& clock, ScrapePlan plan);
  ~MetricsScraper();

  ScrapeCounts counts(size_t source) const;

 private:
  class Source;
  class Target;

  // What all sources say of the slot that is not too old.
  EngineMetrics merged(uint32_t slot) const;
  void fill_doubted(std::vector<std::pair<EndpointId, EngineMetrics>>& round) const;
  std::optional<double> mean(EngineGauge gauge) const;
  void publish(const std::vector<uint32_t>& slots);

  EventLoop& loop_;
  Fleet& fleet_;
  const AddressBook& addresses_;
  ScrapeProbe& probe_;
  const Clock& clock_;
  const ScrapePlan plan_;
  std::vector<std::unique_ptr<Source>> sources_;
};

}  // namespace kvasir
