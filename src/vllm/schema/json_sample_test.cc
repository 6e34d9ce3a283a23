#include "vllm/schema/json_sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using Json = nlohmann::json;

std::shared_ptr<const JsonValue> value_of(const std::string& json) {
  auto parsed = parse_python_json(json);
  JsonValue* value = std::get_if<JsonValue>(&parsed);
  EXPECT_NE(value, nullptr) << json;
  return std::make_shared<JsonValue>(value == nullptr ? JsonValue() : std::move(*value));
}

std::vector<std::string> samples(const std::string& schema, size_t count = 30) {
  std::vector<std::string> texts;
  const Result<JsonSampler> sampler = JsonSampler::create(value_of(schema));
  EXPECT_TRUE(sampler) << schema << ": " << (sampler ? "" : sampler.error().message);
  for (size_t seed = 0; sampler && seed < count; ++seed) texts.push_back(sampler->text(seed));
  return texts;
}

// Each keyword with a check of its own, so that it is not the maker's own validator which says yes.
TEST(JsonSample, FitsEachKeyword) {
  struct Case {
    const char* schema;
    bool (*fits)(const Json&);
  };
  const Case cases[] = {
      {"{}", [](const Json& v) { return v.is_object(); }},
      {R"({"type":"boolean"})", [](const Json& v) { return v.is_boolean(); }},
      {R"({"type":"null"})", [](const Json& v) { return v.is_null(); }},
      {R"({"type":"integer","minimum":-3,"maximum":3})",
       [](const Json& v) { return v.is_number_integer() && v >= -3 && v <= 3; }},
      {R"({"type":"integer","exclusiveMinimum":4,"exclusiveMaximum":6})",
       [](const Json& v) { return v == 5; }},
      {R"({"type":"number","exclusiveMinimum":0,"maximum":0.5})",
       [](const Json& v) { return v.is_number() && v > 0 && v <= 0.5; }},
      {R"({"type":"integer","multipleOf":7,"minimum":50,"maximum":60})",
       [](const Json& v) { return v == 56; }},
      {R"({"type":"string","minLength":5,"maxLength":6})",
       [](const Json& v) {
         const size_t size = v.get<std::string>().size();
         return size == 5 || size == 6;
       }},
      {R"({"enum":["a",1,null]})", [](const Json& v) { return v == "a" || v == 1 || v.is_null(); }},
      {R"({"const":{"x":[1,"\u00e9"]}})",
       [](const Json& v) { return v["x"][0] == 1 && v["x"][1] == "\xc3\xa9"; }},
      {R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})",
       [](const Json& v) { return (v.size() == 2 || v.size() == 3) && v[0].is_number_integer(); }},
      {R"({"type":"array","uniqueItems":true,"items":{"enum":[1,2,3]},"minItems":3})",
       [](const Json& v) { return v.size() == 3 && v[0] != v[1] && v[1] != v[2] && v[0] != v[2]; }},
      {R"({"type":"array","prefixItems":[{"const":1},{"type":"string"}],"items":false,"minItems":2})",
       [](const Json& v) { return v.size() == 2 && v[0] == 1 && v[1].is_string(); }},
      {R"({"type":"array","contains":{"const":"z"},"minItems":2})",
       [](const Json& v) {
         return v.size() >= 2 && std::find(v.begin(), v.end(), Json("z")) != v.end();
       }},
      {R"({"type":"object","required":["a"],"properties":{"a":{"type":"string"},"b":{}},
           "additionalProperties":false})",
       [](const Json& v) { return v["a"].is_string() && v.size() <= 2; }},
      {R"({"type":"object","minProperties":3,"additionalProperties":{"type":"integer"}})",
       [](const Json& v) { return v.size() >= 3 && v.begin()->is_number_integer(); }},
      {R"({"anyOf":[{"type":"string"},{"type":"integer"}]})",
       [](const Json& v) { return v.is_string() || v.is_number_integer(); }},
      {R"({"oneOf":[{"type":"integer","multipleOf":3},{"type":"integer","multipleOf":5}]})",
       [](const Json& v) { return (v.get<int>() % 3 == 0) != (v.get<int>() % 5 == 0); }},
      {R"({"allOf":[{"required":["a"]},{"required":["b"]}],"type":"object"})",
       [](const Json& v) { return v.contains("a") && v.contains("b"); }},
      {R"({"type":"integer","not":{"multipleOf":2}})",
       [](const Json& v) { return v.get<int>() % 2 != 0; }},
      {R"({"type":"object","properties":{"k":{"enum":["x","y"]}},"required":["k"],
           "if":{"properties":{"k":{"const":"x"}}},"then":{"required":["then"]},
           "else":{"required":["else"]}})",
       [](const Json& v) { return v.contains(v["k"] == "x" ? "then" : "else"); }},
      {R"({"$ref":"#/$defs/a~1b","$defs":{"a/b":{"type":"integer","minimum":9,"maximum":9}}})",
       [](const Json& v) { return v == 9; }},
      {R"({"type":"object","dependentRequired":{"a":["b"]},"required":["a"]})",
       [](const Json& v) { return v.contains("b"); }},
      {R"({"type":"object","propertyNames":{"pattern":"^[a-z]{5}$"},"minProperties":1})",
       [](const Json& v) { return v.begin().key().size() == 5; }},
  };
  for (const Case& one : cases) {
    for (const std::string& text : samples(one.schema)) {
      const Json value = Json::parse(text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << text;
      EXPECT_TRUE(one.fits(value)) << one.schema << ": " << text;
    }
  }
}

TEST(JsonSample, PatternsAndFormatsAreMatched) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"string","pattern":"^[A-Z]{3}-\\d{4}$"})",
       "\"[A-Z][A-Z][A-Z]-[0-9][0-9][0-9][0-9]\""},
      {R"({"type":"string","pattern":"^(ab|cd)+x?$","minLength":9,"maxLength":9})",
       "\"(ab|cd)(ab|cd)(ab|cd)(ab|cd)x\""},
      {R"({"type":"string","format":"date"})", "\"20[0-2][0-9]-[01][0-9]-[0-3][0-9]\""},
      {R"({"type":"string","format":"email"})", "\"[a-z]+@[a-z]+.example.com\""},
      {R"({"type":"string","format":"ipv4"})", "\"10(.[0-9]+)(.[0-9]+)(.[0-9]+)\""},
  };
  for (const auto& [schema, regex] : cases) {
    for (const std::string& text : samples(schema))
      EXPECT_THAT(text, MatchesRegex(regex)) << schema;
  }
}

TEST(JsonSample, SchemasThatContainThemselvesEnd) {
  const char* tree =
      R"({"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}},
          "required":["children"]})";
  const char* list =
      R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"object","required":["next"],
          "properties":{"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}}}}})";
  for (const char* schema : {tree, list}) {
    for (const std::string& text : samples(schema)) {
      EXPECT_TRUE(Json::parse(text).is_object());
      EXPECT_LE(text.size(), JsonSampleLimits().bytes_most);
    }
  }
}

TEST(JsonSample, SeedsMatterAndRepeat) {
  const std::vector<std::string> texts = samples(R"({"type":"integer"})");
  EXPECT_GT(std::set<std::string>(texts.begin(), texts.end()).size(), 20u);
  EXPECT_EQ(samples(R"({"type":"integer"})"), texts);
}

TEST(JsonSample, TextsAreAscii) {
  for (const std::string& text : samples(R"({"enum":["\u00e9\ud83d\ude00"]})", 2)) {
    EXPECT_EQ(text, "\"\\u00e9\\ud83d\\ude00\"");
  }
}

TEST(JsonSample, WhatCannotBeUsedIsNamedWithItsPlace) {
  const std::pair<std::string, const char*> cases[] = {
      {R"({"type":"bogus"})", "#/type: it is not a type"},
      {"5", "#: a schema is an object or a boolean"},
      {R"({"properties":{"a":{"type":[]}}})", "#/properties/a/type"},
      {R"({"$ref":"#/nope"})", "#/$ref: nothing in the schema is called #/nope"},
      {R"({"$ref":"https://example.com/other"})", "#/$ref"},
      {R"({"$dynamicRef":"#a"})", "$dynamicRef is not supported"},
      {R"({"anyOf":[]})", "#/anyOf: the list is empty"},
      {R"({"enum":[]})", "#/enum"},
      {R"({"minimum":"1"})", "#/minimum: it is no number"},
      {R"x({"items":{"pattern":"(?=a)"}})x", "#/items/pattern: look-around is not supported"},
      {"false", "no answer of at most"},
      {R"({"type":"integer","minimum":5,"maximum":3})", "no answer of at most"},
      {R"({"type":"string","minLength":1000000000})", "no answer of at most"},
      {R"({"type":"array","minItems":1000000000})", "no answer of at most"},
      {R"({"$ref":"#"})", "no answer of at most"},
      {R"({"anyOf":[{"$ref":"#"},{"$ref":"#"}]})", "no answer of at most"},
      {R"({"type":"object","required":["a"],"properties":{"a":{"$ref":"#"}}})", "no answer of"},
  };
for (const auto& [schema, told] : cases) {
  const Result<JsonSampler> sampler = JsonSampler::create(value_of(schema));
  ASSERT_FALSE(sampler) << schema;
  EXPECT_THAT(sampler.error().message, HasSubstr(told)) << schema;
}
}

TEST(JsonSample, SchemasHaveLimits) {
  std::string deep = "{}";
  for (int i = 0; i < kSchemaDepthMost + 1; ++i) deep = R"({"not":)" + deep + "}";
  EXPECT_THAT(JsonSampler::create(value_of(deep)).error().message, HasSubstr("levels"));
  std::string wide = R"({"enum":[0)";
  for (size_t i = 0; i < kSchemaValuesMost; ++i) wide += ",0";
  EXPECT_THAT(JsonSampler::create(value_of(wide + "]}")).error().message, HasSubstr("values"));
}

TEST(JsonFits, SaysNoToo) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"integer"})", "1.5"},
      {R"({"type":"object","required":["a"]})", "{}"},
      {R"({"additionalProperties":false})", R"({"a":1})"},
      {R"({"oneOf":[{},{}]})", "1"},
      {R"({"uniqueItems":true})", "[1,1.0]"},
      {R"({"maxLength":1})", R"("ab")"},
      {R"({"const":[1]})", "[2]"},
      {R"({"contains":{"const":1},"maxContains":1})", "[1,1]"},
      {R"({"exclusiveMaximum":3})", "3"},
      {R"({"minimum":3,"exclusiveMinimum":true})", "3"},
  };
  for (const auto& [schema, value] : cases) {
    const auto parsed = value_of(schema);
    uint64_t steps = 1000;
    EXPECT_FALSE(fits_json_schema(*value_of(value), *parsed, *parsed, steps)) << schema;
  }
}

}  // namespace
}  // namespace kvasir
