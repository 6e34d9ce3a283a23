// Where an answer comes from, and what a plugin adds to its header.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir {

struct Endpoint;

// Header fields: name, value.
using AnswerFields = std::vector<std::pair<std::string, std::string>>;

struct AnswerOrigin {
  const Endpoint& endpoint;           // the one that was picked
  const Endpoint* prefill = nullptr;  // where its prompt was prefilled, when that is another one
  std::string_view served = {};       // HOST:PORT, as the gateway says; empty: it does not
};

}  // namespace kvasir
