// JSON texts that fit a schema, made up: what a simulated worker answers when it is asked for one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "vllm/schema/json_schema.h"

namespace kvasir {

struct JsonSampleLimits {
  size_t values_most = 1000;      // in a text
  size_t bytes_most = 64 * 1024;  // of a text
  int depth_most = 24;            // below it only what a schema demands is made
  uint64_t steps_most = 100'000;  // of work for a text
};

class JsonSampler {
 public:
  // Makes a first text, so that a schema which nothing fits is found out. The error says what is
  // wrong with the schema, and where.
  static Result<JsonSampler> create(std::shared_ptr<const JsonValue> schema,
                                    const JsonSampleLimits& limits = {});

  // In ASCII, with ", " and ": " between things; it fits the schema. The same seed gives the same
  // text.
  std::string text(uint64_t seed) const;

 private:
  JsonSampler(std::shared_ptr<const JsonValue> schema, const JsonSampleLimits& limits)
      : schema_(std::move(schema)), limits_(limits) {}

  std::shared_ptr<const JsonValue> schema_;
  JsonSampleLimits limits_;
  std::string first_;  // for seeds that lead nowhere
};

}  // namespace kvasir
