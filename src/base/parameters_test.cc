#include "base/parameters.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono::milliseconds;

Value map(Value::Map entries) { return Value(std::move(entries), 1); }

TEST(Parameters, ReadsWhatIsThereAndFallsBackOtherwise) {
  const Value value = map({{"count", Value(int64_t{3}, 2)}, {"share", Value(0.5, 3)}, {"wait", Value(std::string("50ms"), 4)}});
  Parameters parameters(value, "thing");
  EXPECT_EQ(parameters.integer("count", 1), 3);
  EXPECT_EQ(parameters.number("share", 1), 0.5);
  EXPECT_EQ(parameters.number("count", 1), 3.0);
  EXPECT_EQ(parameters.duration("wait", Duration::zero()), milliseconds(50));
  EXPECT_EQ(parameters.text("name", "none"), "none");
  EXPECT_TRUE(parameters.boolean("on", true));
  EXPECT_TRUE(parameters.problems().empty());
}

TEST(Parameters, TheFirstProblemIsToldWithKeyAndLine) {
  const struct {
    Value value;
    std::string message;
  } cases[] = {
      {map({{"count", Value(std::string("x"), 7)}}), "line 7: thing: count must be a whole number, not a text"},
      {map({{"count", Value(int64_t{-1}, 7)}}), "line 7: thing: count must be from 0 to 10"},
      {map({{"cuont", Value(int64_t{1}, 8)}}), "line 8: thing: unknown parameter 'cuont'; did you mean 'count'?"},
      {Value(std::string("x"), 3), "line 3: thing: parameters must be a map, not a text"},
  };
  for (const auto& bad : cases) {
    Parameters parameters(bad.value, "thing");
    parameters.integer("count", 1, 0, 10);
    EXPECT_EQ(to_string(parameters.problems()), bad.message);
  }
}

TEST(ParseDuration, ReadsGosNotation) {
  EXPECT_EQ(parse_duration("1h30m"), std::chrono::minutes(90));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("0"), Duration::zero());
  for (const char* bad : {"", "5", "s", "-1s", "1x", "1e99h", "nan", "1s2"}) EXPECT_FALSE(parse_duration(bad)) << bad;
}

}  // namespace
}  // namespace kvasir
