#include "apps/controller_session.h"

#include <algorithm>
#include <utility>

#include "apps/routes_text.h"
#include "net/io/event_loop.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

// How long what is not named any more stays, for requests and files that are still under way.
constexpr Duration kOldLives = std::chrono::seconds(30);

}  // namespace

ControllerSession::ControllerSession(EventLoop& loop, const ControllerFlags& flags,
                                     EnvoyFolder folder)
    : loop_(loop), flags_(flags), folder_(std::move(folder)) {}

ControllerSession::~ControllerSession() {
  loop_.cancel(drop_);
  store_.remove_listener(*this);
}

Result<std::unique_ptr<ControllerSession>> ControllerSession::open(EventLoop& loop,
                                                                   const ControllerFlags& flags) {
  Result<EnvoyFolder> folder = EnvoyFolder::open(flags.out);
  if (!folder) return Error{"--out: " + folder.error().message};
  std::unique_ptr<ControllerSession> session(
      new ControllerSession(loop, flags, std::move(*folder)));
  session->store_.add_listener(*session);
  ManifestWatchOptions watch;
  watch.paths = flags.paths;
  watch.default_namespace = flags.name_space;
  if (flags.once) watch.interval = Duration::zero();
  auto watched = ManifestWatch::start(
      loop, session->store_, std::move(watch),
      [](const std::string& problem) { log_warning("routes: not used: " + problem); },
      [](const std::string& path) { log_info("routes: " + path + " is used again"); });
  if (!watched) return Error{"-f: " + watched.error().message};
  session->watch_ = std::move(*watched);
  const Result<size_t> written = session->write();
  if (!written) return Error{"--out: " + written.error().message};
  if (!flags.once) {
    session->drop_old_later();
    return session;
  }
  const Result<void> dropped = session->folder_.drop_old();
  if (!dropped) return Error{"--out: " + dropped.error().message};
  return session;
}

void ControllerSession::on_batch_end() {
  if (watch_ == nullptr || !std::exchange(stale_, false)) return;
  const Result<size_t> written = write();
  if (!written) return log_warning("Envoy's files are not all written: " + written.error().message);
  if (*written == 0) return;
  log_info(std::to_string(*written) + " files for Envoy are new, of " + std::to_string(routes_) +
           " HTTPRoutes");
  drop_old_later();
}

Result<size_t> ControllerSession::write() {
  const EffectiveRoutes routes = effective_routes(store_, [this](const KubeGateway& gateway) {
    const std::vector<std::string>& classes = flags_.classes;
    return classes.empty() ||
           std::find(classes.begin(), classes.end(), gateway.class_name) != classes.end();
  });
  const EnvoyConfiguration configuration = envoy_configuration(routes, store_, flags_.envoy);
  Result<size_t> written = folder_.write(configuration);
  routes_ = routes.routes.size();
  std::set<std::string> wrong(configuration.remarks.begin(), configuration.remarks.end());
  for (std::string& line : broken_conditions(routes)) wrong.insert(std::move(line));
  if (routes.table->listeners().empty()) {
    wrong.insert("no Gateway has a listener that can be served: Envoy is told to listen nowhere");
  }
  tell_once(std::move(wrong));
  return written;
}

void ControllerSession::tell_once(std::set<std::string> wrong) {
  for (const std::string& line : wrong) {
    if (told_.count(line) == 0) log_warning("routes: " + line);
  }
  told_ = std::move(wrong);
}

void ControllerSession::drop_old_later() {
  loop_.cancel(drop_);
  drop_ = loop_.after(kOldLives, [this] {
    const Result<void> dropped = folder_.drop_old();
    if (!dropped) log_warning("Envoy's files are not all written: " + dropped.error().message);
  });
}

}  // namespace kvasir
