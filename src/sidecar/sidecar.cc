#include "sidecar/sidecar.h"

#include <utility>

#include "sidecar/sidecar_thread.h"

namespace kvasir {

Result<std::unique_ptr<Sidecar>> Sidecar::create(EventLoop& loop, const SidecarOptions& options,
                                                 SidecarProbe& probe) {
  std::unique_ptr<Sidecar> sidecar(new Sidecar(options, probe));
  Result<SocketAddress> decoder = look_up_first(loop, sidecar->resolver_, options.decoder);
  if (!decoder) return decoder.error();
  sidecar->decoder_ = *decoder;
  auto threads = ServerThreads<SidecarThread>::start(
      loop, {options.host, options.port, "--port", options.threads, options.drain_timeout},
      [&sidecar = *sidecar](EventLoop& own, Descriptor listener, uint32_t index) {
        return std::make_unique<SidecarThread>(sidecar, own, std::move(listener), index);
      });
  if (!threads) return threads.error();
  sidecar->threads_ = std::move(*threads);
  return sidecar;
}

Sidecar::Sidecar(const SidecarOptions& options, SidecarProbe& probe)
    : options_(options), probe_(probe), bodies_(options.bodies_bytes_max) {}

Sidecar::~Sidecar() = default;

void Sidecar::drain(std::function<void()> drained) {
  threads_->drain(std::move(drained));
}

}  // namespace kvasir
