// Gathers what the engine tells of its KV cache and has it published: one batch for each step that
// changed something, before the answers of that step are sent; or, with an interval, one batch for
// each interval.
//
// As in vLLM, a reset is announced in the batch of the next step. Everything on the executor's
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/result.h"
#include "net/io/resolver.h"
#include "net/io/socket.h"
#include "wire/kv_events/kv_event.h"
#include "wire/kv_events/kv_event_encoder.h"
#include "worker/engine_block_names.h"
#include "worker/kv_event_publisher.h"

namespace kvasir {

struct KvEventWriterOptions {
  KvEventPublisherOptions publisher;
  // How blocks are named; nullopt: by the engine's own BlockHashes, which costs nothing.
  std::optional<EngineHashOptions> names = {};
  std::map<std::string, std::string> adapter_paths = {};  // by name, for those names
  uint32_t data_parallel_rank = 0;       // stands in each batch; the ports are the caller's
  Duration interval{};                   // zero: after each step
  size_t batch_tokens_max = 256 * 1024;  // then a batch does not wait for the interval's end
  // An endpoint tcp://NAME:PORT that is connected to: all addresses of the name get the events,
  // and it is looked up again so often.
  Duration look_up_interval = std::chrono::seconds(5);
  // Nobody was connected to for so long: that is told, and looked for again as often.
  Duration unconnected_after = std::chrono::seconds(5);
};

class KvEventWriter final : public KvEventSink {
 public:
  // Fails when an endpoint cannot be bound. Both must outlive the writer.
  static Result<std::unique_ptr<KvEventWriter>> start(Executor& executor, Resolver& resolver,
                                                      KvEventWriterOptions options);
  ~KvEventWriter() override;
  KvEventWriter(const KvEventWriter&) = delete;
  KvEventWriter& operator=(const KvEventWriter&) = delete;

  void on_stored(const KvBlocksStored& event) override;
  void on_removed(const KvBlocksRemoved& event) override;
  void on_all_cleared() override;
  void on_skipped(std::string_view) override {}

  // The step ended whose events these were.
  void step_finished();

  const KvEventPublisher& publisher() const { return *publisher_; }
  // Where events go, in words.
  std::string description() const;

 private:
  KvEventWriter(Executor& executor, Resolver& resolver, KvEventWriterOptions options,
                std::unique_ptr<KvEventPublisher> publisher, HostPort peer);

  void gather(size_t tokens);
  void flush();
  void on_interval();
  void look_up();
  void on_addresses(const Result<Resolver::Addresses>& addresses);
  void tell_drops();
  void look_for_connection();

  Executor& executor_;
  Resolver& resolver_;
  const KvEventWriterOptions options_;
  const std::unique_ptr<KvEventPublisher> publisher_;
  const HostPort peer_;  // whose addresses are looked up; an empty host: nobody's
  std::optional<EngineBlockNames> names_;
  KvEventEncoder encoder_;
  bool gathered_ = false;       // the encoder's batch has begun
  size_t gathered_tokens_ = 0;  // in it
  bool step_open_ = false;      // events came since the last step finished
  bool due_ = false;            // the interval is over
  TimerId interval_timer_ = kNoTimer;
  std::unique_ptr<Resolver::LookUp> look_up_;
  TimerId look_up_timer_ = kNoTimer;
  TimerId connection_timer_ = kNoTimer;  // until somebody was connected to
  bool unconnected_told_ = false;
  std::string peers_told_;  // in the log
  uint64_t drops_told_ = 0;
};

}  // namespace kvasir
