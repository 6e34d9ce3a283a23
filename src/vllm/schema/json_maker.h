// Makes one JSON value that fits a schema, as far as one pass can: see json_sample.h for the whole.
// Private to wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "vllm/schema/json_sample.h"

namespace kvasir {

// Sets of types are sums of these.
enum JsonType : unsigned {
  kJsonNull = 1,
  kJsonBoolean = 2,
  kJsonInteger = 4,
  kJsonNumber = 8,
  kJsonString = 16,
  kJsonArray = 32,
  kJsonObject = 64,
  kJsonAny = 127
};

// The type of that name; 0: there is none.
unsigned json_type_of(std::string_view name);

// A keyword's number.
std::optional<double> number_in(const JsonObject& schema, std::string_view name);

// A lower and an upper bound; the narrower of two wins.
struct JsonBounds {
  double least = 0;
  std::optional<double> most = std::nullopt;

  // By two keywords.
  void narrow(const JsonObject& schema, const char* low, const char* high);
};

// What all schemas that a value has to fit say together, as far as it helps to make one.
struct JsonDemands {
  unsigned types = kJsonAny;
  unsigned implied = 0;  // by keywords, where no type is named
  std::vector<const JsonArray*> enums = {};
  std::vector<const JsonValue*> constants = {};
  std::optional<double> minimum = std::nullopt, maximum = std::nullopt;
  bool above = false, below = false;  // the bounds themselves are excluded
  std::vector<double> multiples = {};
  JsonBounds length = {}, items = {}, properties = {};
  const std::string* pattern = nullptr;
  std::string_view format = {};
  std::vector<const JsonObject*> arrays = {};   // schemas with keywords for arrays
  std::vector<const JsonObject*> objects = {};  // schemas with keywords for objects
  std::vector<const JsonArray*> choices = {};   // anyOf and oneOf, not decided yet
  bool impossible = false;
};

// One pass: it may lead nowhere, and what it makes may miss a demand (see fits_json_schema()).
class JsonMaker {
 public:
  // All but the numbers must outlive it.
  JsonMaker(const JsonValue& root, const JsonSampleLimits& limits, uint64_t seed, bool plain)
      : root_(root), limits_(limits), random_(seed), plain_(plain), steps_(limits.steps_most) {}

  // nullopt: these choices led nowhere.
  std::optional<JsonValue> make();
  uint64_t& steps() { return steps_; }

 private:
  std::optional<JsonValue> make_value(const std::vector<const JsonValue*>& schemas, int depth);
  std::optional<JsonValue> make_typed(const JsonDemands& demands, unsigned type, int depth);
  std::optional<JsonValue> make_listed(const JsonDemands& demands);
  std::optional<JsonValue> make_number(const JsonDemands& demands, bool whole);
  std::optional<JsonValue> make_string(const JsonDemands& demands);
  std::optional<JsonValue> make_array(const JsonDemands& demands, int depth);
  std::optional<JsonValue> make_object(const JsonDemands& demands, int depth);
  bool add_member(const JsonDemands& demands, const std::string& name, int depth,
                  JsonObject& object);
  std::string formatted(std::string_view format);
  std::string words(uint64_t count);

  void collect(const JsonValue& schema, JsonDemands& demands, int depth);
  void collect_scalars(const JsonObject& schema, JsonDemands& demands);
  void collect_combinations(const JsonObject& schema, JsonDemands& demands, int depth);
  void decide(JsonDemands& demands, int depth);
  size_t simplest(const JsonArray& options) const;
  unsigned cost(const JsonValue& schema, int depth) const;
  std::vector<std::string> names_for(const JsonDemands& demands, int depth);
  unsigned pick_type(const JsonDemands& demands, int depth);

  // Looking through a list of `looked_through` names costs a step for each 64 of them.
  bool spend(size_t looked_through = 0) {
    const uint64_t cost = 1 + looked_through / 64;
    if (steps_ < cost) return false;
    steps_ -= cost;
    return true;
  }
  uint64_t digits(uint64_t from, uint64_t to) { return from + random_.below(to - from + 1); }

  const JsonValue& root_;
  const JsonSampleLimits& limits_;
  Random random_;
  const bool plain_;  // takes the first of several ways, and leaves out what may be left out
  uint64_t steps_;
  size_t values_ = 0;
  size_t bytes_ = 0;
};

}  // namespace kvasir
