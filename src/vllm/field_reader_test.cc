#include "vllm/field_reader.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

JsonValue json(std::string_view text) {
  return std::get<JsonValue>(parse_python_json(text));
}

// What a value becomes as an integer: its digits, or the type of the error.
template <class Read>
std::string outcome(std::string_view text, Read read) {
  FieldErrors errors;
  const std::string value = read(json(text), errors);
  if (errors.empty()) return value;
  const std::string message = errors.to_error().message;
  const size_t type = message.find("'type': '") + 9;
  return message.substr(type, message.find('\'', type) - type);
}

std::string as_integer(std::string_view text) {
  return outcome(text, [](const JsonValue& value, FieldErrors& errors) {
    return to_text(read_integer(value, "body.f", errors).value_or(0));
  });
}

std::string as_boolean(std::string_view text) {
  return outcome(text, [](const JsonValue& value, FieldErrors& errors) {
    return std::string(read_boolean(value, "body.f", errors).value_or(false) ? "true" : "false");
  });
}

std::string as_real(std::string_view text) {
  return outcome(text, [](const JsonValue& value, FieldErrors& errors) {
    return std::to_string(read_real(value, "body.f", errors).value_or(0));
  });
}

TEST(FieldReader, IntegersAreWhatPydanticTakes) {
  const std::pair<const char*, const char*> cases[] = {{"5", "5"},
                                                       {"\"5\"", "5"},
                                                       {"\" +5 \"", "5"},
                                                       {"\"1_0\"", "10"},
                                                       {"\"5.000\"", "5"},
                                                       {"5.0", "5"},
                                                       {"true", "1"},
                                                       {"\"abc\"", "int_parsing"},
                                                       {"\"5e0\"", "int_parsing"},
                                                       {"\"5.\"", "int_parsing"},
                                                       {"\"1__0\"", "int_parsing"},
                                                       {"1.5", "int_from_float"},
                                                       {"1e30", "int_parsing_size"},
                                                       {"NaN", "finite_number"},
                                                       {"null", "int_type"},
                                                       {"[5]", "int_type"},
                                                       {"{}", "int_type"}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(as_integer(text), expected) << text;
}

TEST(FieldReader, BooleansAreWhatPydanticTakes) {
  const std::pair<const char*, const char*> cases[] = {{"true", "true"},
                                                       {"1", "true"},
                                                       {"0.0", "false"},
                                                       {"\"Yes\"", "true"},
                                                       {"\"off\"", "false"},
                                                       {"2", "bool_parsing"},
                                                       {"\" true\"", "bool_parsing"},
                                                       {"\"\"", "bool_parsing"},
                                                       {"[]", "bool_type"},
                                                       {"null", "bool_type"}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(as_boolean(text), expected) << text;
}

TEST(FieldReader, NumbersAreWhatPydanticTakes) {
  const std::pair<const char*, const char*> cases[] = {
      {"\" 0.5 \"", "0.500000"}, {"\"1e0\"", "1.000000"},      {"\"nan\"", "nan"},
      {"\"-Infinity\"", "-inf"}, {"\"0x1\"", "float_parsing"}, {"\"\"", "float_parsing"},
      {"[1]", "float_type"}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(as_real(text), expected) << text;
}

TEST(FieldReader, TheFirstErrorNamesTheParamAndTenAreToldInWords) {
  FieldErrors errors;
  for (int i = 0; i < 12; ++i) read_integer(json("\"x\""), "body.f" + std::to_string(i), errors);
  const ApiError error = errors.to_error();
  EXPECT_EQ(error.param, "body.f0");
  EXPECT_EQ(error.type, "Bad Request");
  EXPECT_NE(error.message.find("12 validation errors"), std::string::npos);
  EXPECT_NE(error.message.find("...and 2 more errors"), std::string::npos);
}

TEST(FieldReader, LongValuesAreCut) {
  FieldErrors errors;
  read_integer(json("\"" + std::string(5000, 'x') + "\""), "body.f", errors);
  EXPECT_NE(errors.to_error().message.find("...[truncated]"), std::string::npos);
  EXPECT_LT(errors.to_error().message.size(), 1100u);
}

}  // namespace
}  // namespace kvasir
