// What plugins want to be known exactly: what engines hold, and the tokens of prompts. Whoever
// serves requests finds it out before a request is scheduled, and puts it into Request::cached and
// Request::prompt_tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace kvasir {

// Where vLLM's documents put what is asked for again; nothing is the default.
inline constexpr uint16_t kUsualReplayPort = 5558;

// Where engines publish the events of their KV caches.
struct WantedCaches {
  bool by_endpoint = true;                   // each endpoint's host is connected to, at this port:
  uint16_t port = 5557;                      // upstream's default
  std::optional<uint16_t> replay_port = {};  // where lost events are asked for
  std::string topic = {};                    // prefix of the topics to hear; empty: all
  std::string bind = {};  // ZeroMQ's name of where engines connect to; empty: nowhere
};

// Who is asked for the tokens of a prompt.
struct WantedTokens {
  std::string plugin;      // that wants it
  std::string url;         // http://HOST:PORT of a render service; empty: the engines
  std::string model = {};  // as that service knows it; empty: as the request says
  std::optional<Duration> timeout = {};
};

struct WantedKnowledge {
  std::optional<WantedCaches> caches = {};
  std::optional<WantedTokens> tokens = {};
  // How long a prompt counts as held where it was sent, until the engine's events say so. Zero: not
  // at all. nullopt: nobody says.
  std::optional<Duration> expected_lifetime = {};
};

// Implemented by plugins that want some.
class KnowledgeReader {
 public:
  virtual ~KnowledgeReader() = default;
  virtual void add_wanted(WantedKnowledge& wanted) const = 0;
};

}  // namespace kvasir
