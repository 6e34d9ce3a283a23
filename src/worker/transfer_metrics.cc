#include "worker/transfer_metrics.h"

#include <vector>

namespace kvasir {
namespace {

const std::vector<double> kPostBounds = {.001, .005, .01, .025, .05, .075, .1,
                                         .2,   .3,   .5,  .75,  1,   5};
const std::vector<double> kTransferBounds = {.005, .01, .025, .05, .075, .1, .2, .3, .5, .75, 1, 5};
// 2 KiB to 8 GiB, each four times the one before.
const std::vector<double> kByteBounds = {2048,      8192,      32768,      131072,
                                         524288,    2097152,   8388608,    33554432,
                                         134217728, 536870912, 2147483648, 8589934592};
const std::vector<double> kDescriptorBounds = {10,  20,   30,   50,   75,    100,   200,
                                               400, 1000, 2000, 4000, 10000, 20000, 50000};
const std::vector<double> kOwnBounds = {.0001, .0002, .0005, .001, .002, .005, .01, .02,
                                        .05,   .1,    .2,    .5,   1,    2,    5,   10};

}  // namespace

TransferMetrics::TransferMetrics(MetricRegistry& registry, const Labels& labels, double time_scale,
                                 bool nixl)
    : time_scale_(time_scale) {
  const auto counter = [&](std::string_view name, std::string_view help) {
    return &registry.counter(name, help, labels);
  };
  const auto histogram = [&](std::string_view name, std::string_view help,
                             const std::vector<double>& bounds) {
    return &registry.histogram(name, help, bounds, labels);
  };
  offers_ = &registry.gauge("kvasir_kv_offers",
                            "KV blocks that are kept for other workers to fetch.", labels);
  bytes_ = counter("kvasir_kv_transfer_bytes_total", "Bytes of KV blocks that arrived.");
  failed_ = counter("kvasir_kv_transfer_failures_total", "Transfers of KV blocks that failed.");
  refused_peers_ =
      counter("kvasir_kv_refused_peers_total",
              "Workers with which no KV blocks are exchanged (another model or layout), and times "
              "that a store of blocks could not be used.");
  unusable_ = counter("kvasir_kv_unusable_handoffs_total",
                      "Requests that asked for KV blocks without what it takes to fetch them.");
  seconds_ = histogram("kvasir_kv_transfer_seconds",
                       "Time until all KV blocks of a request were there.", kOwnBounds);
  if (!nixl) return;
  nixl_time_ =
      histogram("vllm:nixl_xfer_time_seconds", "Time that a transfer took.", kTransferBounds);
  nixl_post_ =
      histogram("vllm:nixl_post_time_seconds", "Time until a transfer was asked for.", kPostBounds);
  nixl_bytes_ = histogram("vllm:nixl_bytes_transferred", "Bytes of a transfer.", kByteBounds);
  nixl_descriptors_ =
      histogram("vllm:nixl_num_descriptors", "Pieces of memory of a transfer.", kDescriptorBounds);
  nixl_failed_ = counter("vllm:nixl_num_failed_transfers_total",
                         "Failed transfers, handshakes and notifications.");
  nixl_failed_notifications_ =
      counter("vllm:nixl_num_failed_notifications_total", "Failed notifications.");
  nixl_expired_ = counter("vllm:nixl_num_kv_expired_reqs_total",
                          "Requests whose blocks nobody fetched before their lease ended.");
  nixl_late_notifications_ = counter("vllm:nixl_num_notifications_after_expiry_total",
                                     "Notifications of requests whose lease had ended.");
}

void TransferMetrics::on_transfer(const KvTransferRecord& transfer) {
  const double seconds = to_seconds(transfer.time) * time_scale_;
  seconds_->observe(seconds);
  if (nixl_time_ == nullptr) return;
  nixl_time_->observe(seconds);
  nixl_post_->observe(to_seconds(transfer.post) * time_scale_);
  nixl_bytes_->observe(static_cast<double>(transfer.bytes));
  nixl_descriptors_->observe(static_cast<double>(transfer.descriptors));
}

void TransferMetrics::update(const KvTransferStats& stats) {
  offers_->set(static_cast<double>(stats.offers));
  bytes_->add(stats.bytes - seen_.bytes);
  failed_->add(stats.failed_transfers - seen_.failed_transfers);
  refused_peers_->add(stats.refused_peers - seen_.refused_peers);
  unusable_->add(stats.unusable_handoffs - seen_.unusable_handoffs);
  if (nixl_failed_ != nullptr) {
    const uint64_t notifications = stats.failed_notifications - seen_.failed_notifications;
    nixl_failed_->add(stats.failed_transfers - seen_.failed_transfers + notifications);
    nixl_failed_notifications_->add(notifications);
    nixl_expired_->add(stats.expired_requests - seen_.expired_requests);
    nixl_late_notifications_->add(stats.late_notifications - seen_.late_notifications);
  }
  seen_ = stats;
}

}  // namespace kvasir
