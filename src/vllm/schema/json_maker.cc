#include "vllm/schema/json_maker.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "vllm/schema/regex_sample.h"

namespace kvasir {
namespace {

using Schemas = std::vector<const JsonValue*>;

constexpr int kAttemptsOfAPart = 24;  // for one string, or one item that must differ from others
constexpr double kUsualRange = 1000;  // of numbers without bounds
constexpr size_t kOptionalDepth = 4;  // members that may be left out are, below it
constexpr std::array<std::string_view, 12> kWords = {"bab", "dad", "fed", "gig", "hop", "jab",
                                                     "kid", "lad", "mob", "nod", "pad", "rig"};

std::string two(uint64_t number) {
  return std::string(number < 10 ? "0" : "") + std::to_string(number);
}

}  // namespace

std::optional<JsonValue> JsonMaker::make() {
  return make_value({&root_}, 0);
}

std::optional<JsonValue> JsonMaker::make_value(const Schemas& schemas, int depth) {
  if (++values_ > limits_.values_most || bytes_ > limits_.bytes_most || !spend()) {
    return std::nullopt;
  }
  if (depth > 4 * limits_.depth_most) return std::nullopt;
  JsonDemands demands;
  for (const JsonValue* schema : schemas) collect(*schema, demands, 0);
  decide(demands, depth);
  if (demands.impossible) return std::nullopt;
  if (!demands.constants.empty()) return *demands.constants.front();
  if (!demands.enums.empty()) return make_listed(demands);
  return make_typed(demands, pick_type(demands, depth), depth);
}

std::optional<JsonValue> JsonMaker::make_typed(const JsonDemands& demands, unsigned type,
                                               int depth) {
  switch (type) {
    case kJsonNull:
      return JsonValue();
    case kJsonBoolean:
      return JsonValue(random_.below(2) == 1);
    case kJsonInteger:
      return make_number(demands, true);
    case kJsonNumber:
      return make_number(demands, false);
    case kJsonString:
      return make_string(demands);
    case kJsonArray:
      return make_array(demands, depth);
    case kJsonObject:
      return make_object(demands, depth);
    default:
      return std::nullopt;
  }
}

// One of the values that all lists have and whose type is right.
std::optional<JsonValue> JsonMaker::make_listed(const JsonDemands& demands) {
  Schemas values;
  for (const JsonValue& value : *demands.enums.front()) {
    if (!spend()) return std::nullopt;
    const unsigned type = json_type_of(json_type(value));
    if ((demands.types & type) == 0) continue;
    const bool everywhere =
        std::all_of(demands.enums.begin() + 1, demands.enums.end(), [&](const JsonArray* list) {
          return std::any_of(list->begin(), list->end(),
                             [&](const JsonValue& other) { return equal_json(value, other); });
        });
    if (everywhere) values.push_back(&value);
  }
  if (values.empty()) return std::nullopt;
  return *values[random_.below(values.size())];
}

std::optional<JsonValue> JsonMaker::make_number(const JsonDemands& demands, bool whole) {
  double low =
      demands.minimum.value_or(demands.maximum ? std::min(0.0, *demands.maximum - kUsualRange) : 0);
  double high = demands.maximum.value_or(std::max(low, 0.0) + kUsualRange);
  double step = whole ? 1 : 0;
  for (const double of : demands.multiples) {
    // The common multiple of whole numbers; of others the larger one is tried.
    if (step > 0 && of == std::floor(of) && step == std::floor(step) && of < 1e9 && step < 1e9) {
      double common = step;
      while (std::fmod(common, of) != 0 && common < step * 1e6) common += step;
      step = common;
    } else {
      step = std::max(step, of);
    }
  }
  if (step > 0) {
    double first = std::ceil(low / step);
    double last = std::floor(high / step);
    if (demands.above && first * step <= low) first += 1;
    if (demands.below && last * step >= high) last -= 1;
    if (!(first <= last)) return std::nullopt;
    const double count = std::min(last - first, 1e6);
    const double value =
        (first + static_cast<double>(random_.below(static_cast<uint64_t>(count) + 1))) * step;
    if (value != std::floor(value) || std::abs(value) > 1e15) {
      if (whole && value == std::floor(value) && std::abs(value) < 1e30) {
        return JsonValue(static_cast<WideInt>(value));
      }
      return JsonValue(value);
    }
    return JsonValue(static_cast<WideInt>(value));
  }
  if (!(low <= high)) return std::nullopt;
  double value = low + (high - low) * (0.05 + 0.9 * random_.uniform());
  const double rounded = std::round(value * 100) / 100;
  if (rounded > low && rounded < high) value = rounded;
  if ((demands.above && value <= low) || (demands.below && value >= high)) return std::nullopt;
  return JsonValue(value);
}

std::optional<JsonValue> JsonMaker::make_string(const JsonDemands& demands) {
  const double most = demands.length.most.value_or(
      std::max(demands.length.least, static_cast<double>(limits_.bytes_most)));
  if (demands.length.least > most ||
      demands.length.least > static_cast<double>(limits_.bytes_most)) {
    return std::nullopt;
  }
  const auto least = static_cast<size_t>(demands.length.least);
  const auto fits = [&](const std::string& text) {
    const size_t size = count_characters(text);
    return size >= least && static_cast<double>(size) <= most;
  };
  if (demands.pattern != nullptr) {
    const Result<RegexSampler> sampler = RegexSampler::create(*demands.pattern);
    if (!sampler) return std::nullopt;
    for (uint32_t attempt = 0; attempt < kAttemptsOfAPart; ++attempt) {
      if (!spend()) return std::nullopt;
      // Wider and wider, up to the length that is asked for.
      const auto spread = static_cast<uint32_t>(least * attempt / 4 + attempt % 8);
      std::optional<std::string> text = sampler->text(random_.next(), std::max(spread, 1u));
      if (!text || !fits(*text)) continue;
      bytes_ += text->size();
      return JsonValue(std::move(*text));
    }
    return std::nullopt;
  }
  if (!demands.format.empty()) {
    std::string text = formatted(demands.format);
    if (!text.empty() && fits(text)) return JsonValue(std::move(text));
  }
  std::string text = words(1 + random_.below(3));
  while (text.size() < least) text += " " + words(1);
  if (static_cast<double>(text.size()) > most) text.resize(static_cast<size_t>(most));
  if (!text.empty() && text.back() == ' ') text.back() = 'a';
  bytes_ += text.size();
  return JsonValue(std::move(text));
}

std::string JsonMaker::words(uint64_t count) {
  std::string text;
  for (uint64_t i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += kWords[random_.below(kWords.size())];
  }
  return text;
}

// Empty: the format is not known, so that any text will do.
std::string JsonMaker::formatted(std::string_view format) {
  const auto hex = [&](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "0123456789abcdef"[random_.below(16)];
    return text;
  };
  const auto date = [&] {
    return std::to_string(digits(2000, 2029)) + "-" + two(digits(1, 12)) + "-" + two(digits(1, 28));
  };
  const auto time = [&] {
    return two(digits(0, 23)) + ":" + two(digits(0, 59)) + ":" + two(digits(0, 59)) + "Z";
  };
  if (format == "date") return date();
  if (format == "time") return time();
  if (format == "date-time") return date() + "T" + time();
  if (format == "duration") return "PT" + std::to_string(digits(1, 59)) + "M";
  if (format == "email" || format == "idn-email") return words(1) + "@" + words(1) + ".example.com";
  if (format == "hostname" || format == "idn-hostname") return words(1) + ".example.com";
  if (format == "ipv4") {
    return "10." + std::to_string(digits(0, 255)) + "." + std::to_string(digits(0, 255)) + "." +
           std::to_string(digits(1, 254));
  }
  if (format == "ipv6") return "2001:db8::" + hex(4).insert(0, "1").substr(0, 4);
  if (format == "uri" || format == "iri" || format == "uri-reference" ||
      format == "iri-reference") {
    return "https://example.com/" + words(1);
  }
  if (format == "uri-template") return "https://example.com/{" + words(1) + "}";
  if (format == "uuid") {
    return hex(8) + "-" + hex(4) + "-4" + hex(3) + "-a" + hex(3) + "-" + hex(12);
  }
  if (format == "json-pointer") return "/" + words(1);
  if (format == "relative-json-pointer") return "0/" + words(1);
  if (format == "regex") return words(1);
  if (format == "byte" || format == "base64") return "YmFi";
  return {};
}

std::optional<JsonValue> JsonMaker::make_array(const JsonDemands& demands, int depth) {
  const bool deep = depth > limits_.depth_most;
  const JsonBounds& bounds = demands.items;
  if (bounds.least > static_cast<double>(limits_.values_most)) return std::nullopt;
  uint64_t least = static_cast<uint64_t>(bounds.least);
  bool unique = false;
  Schemas contained;
  for (const JsonObject* schema : demands.arrays) {
    const JsonValue* flag = find_member(*schema, "uniqueItems");
    unique = unique || (flag != nullptr && flag->boolean() != nullptr && *flag->boolean());
    const JsonValue* contains = find_member(*schema, "contains");
    const double wanted = number_in(*schema, "minContains").value_or(1);
    if (contains == nullptr || wanted > static_cast<double>(limits_.values_most)) continue;
    contained.insert(contained.end(), static_cast<size_t>(std::max(wanted, 0.0)), contains);
  }
  least = std::max<uint64_t>(least, contained.size());
  const bool inner = depth > static_cast<int>(kOptionalDepth);
  const uint64_t more = deep ? 0 : least == 0 && !inner ? 1 + random_.below(3) : random_.below(2);
  uint64_t count = least + more;
  if (bounds.most) count = std::min(count, static_cast<uint64_t>(std::max(*bounds.most, 0.0)));
  if (count < least) return std::nullopt;
  JsonArray array;
  for (uint64_t i = 0; i < count; ++i) {
    Schemas schemas;
    for (const JsonObject* schema : demands.arrays) {
      const JsonValue* items = find_member(*schema, "items");
      const JsonValue* prefix = find_member(*schema, "prefixItems");
      const JsonValue* rest = items;
      if (prefix == nullptr && items != nullptr && items->array() != nullptr) {
        prefix = items;
        rest = find_member(*schema, "additionalItems");
      }
      const bool placed =
          prefix != nullptr && prefix->array() != nullptr && i < prefix->array()->size();
      if (placed) {
        schemas.push_back(&(*prefix->array())[i]);
      } else if (rest != nullptr) {
        schemas.push_back(rest);
      }
    }
    if (i < contained.size()) schemas.push_back(contained[i]);
    std::optional<JsonValue> item;
    for (int attempt = 0; attempt < (unique ? kAttemptsOfAPart : 1); ++attempt) {
      item = make_value(schemas, depth + 1);
      const bool twice =
          unique && item && std::any_of(array.begin(), array.end(), [&](const JsonValue& other) {
            return equal_json(*item, other);
          });
      if (!twice) break;
      item.reset();
    }
    if (!item) {
      if (array.size() >= least) break;  // enough of them
      return std::nullopt;
    }
    array.push_back(std::move(*item));
  }
  return JsonValue(std::move(array));
}

// The members that must be there, and some of those that may be.
std::vector<std::string> JsonMaker::names_for(const JsonDemands& demands, int depth) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  std::vector<std::string> required;
  for (const JsonObject* schema : demands.objects) {
    const JsonValue* list = find_member(*schema, "required");
    if (list == nullptr || list->array() == nullptr) continue;
    for (const JsonValue& name : *list->array()) {
      if (name.string() != nullptr) required.push_back(*name.string());
    }
  }
  const bool some = !plain_ && depth <= static_cast<int>(kOptionalDepth);
  for (const JsonObject* schema : demands.objects) {
    const JsonValue* properties = find_member(*schema, "properties");
    if (properties == nullptr || properties->object() == nullptr) continue;
    for (const auto& member : *properties->object()) {
      if (!spend(required.size() + names.size())) return names;
      const bool needed =
          std::find(required.begin(), required.end(), member.first) != required.end();
      const bool room =
          !demands.properties.most ||
          static_cast<double>(names.size() + required.size()) < *demands.properties.most;
      const bool short_of = static_cast<double>(names.size()) < demands.properties.least;
      if (needed || short_of || (some && room && random_.below(2) == 0)) add(member.first);
    }
  }
  for (const std::string& name : required) {
    if (!spend(names.size())) return names;
    add(name);
  }
  // What a member that is there calls for.
  for (size_t i = 0; i < names.size(); ++i) {
    for (const JsonObject* schema : demands.objects) {
      for (const char* keyword : {"dependentRequired", "dependencies"}) {
        const JsonValue* dependencies = find_member(*schema, keyword);
        if (dependencies == nullptr || dependencies->object() == nullptr) continue;
        const JsonValue* then = find_member(*dependencies->object(), names[i]);
        if (then == nullptr || then->array() == nullptr) continue;
        for (const JsonValue& name : *then->array()) {
          if (name.string() != nullptr) add(*name.string());
        }
      }
    }
  }
  return names;
}

bool JsonMaker::add_member(const JsonDemands& demands, const std::string& name, int depth,
                           JsonObject& object) {
  Schemas schemas;
  for (const JsonObject* schema : demands.objects) {
    const JsonValue* properties = find_member(*schema, "properties");
    const bool lists = properties != nullptr && properties->object() != nullptr;
    if (!spend(lists ? properties->object()->size() : 0)) return false;
    const JsonValue* declared = lists ? find_member(*properties->object(), name) : nullptr;
    const JsonValue* other = find_member(*schema, "additionalProperties");
    if (declared != nullptr) {
      schemas.push_back(declared);
    } else if (other != nullptr) {
      schemas.push_back(other);
    }
  }
  std::optional<JsonValue> value = make_value(schemas, depth + 1);
  if (!value) return false;
  bytes_ += name.size();
  object.emplace_back(name, std::move(*value));
  return true;
}

std::optional<JsonValue> JsonMaker::make_object(const JsonDemands& demands, int depth) {
  JsonObject object;
  const std::vector<std::string> needed = names_for(demands, depth);
  if (needed.size() > limits_.values_most) return std::nullopt;
  for (const std::string& name : needed) {
    if (!add_member(demands, name, depth, object)) return std::nullopt;
  }
  // Names of our own, where nothing is declared or more are wanted.
  const bool free = std::none_of(
      demands.objects.begin(), demands.objects.end(),
      [](const JsonObject* schema) { return find_member(*schema, "properties") != nullptr; });
  double wanted = demands.properties.least;
  if (free && depth <= limits_.depth_most && !plain_) {
    wanted = std::max(wanted, 1.0 + static_cast<double>(random_.below(3)));
  }
  if (demands.properties.most) wanted = std::min(wanted, *demands.properties.most);
  if (wanted > static_cast<double>(limits_.values_most)) return std::nullopt;
  for (int attempt = 0; static_cast<double>(object.size()) < wanted; ++attempt) {
    std::string name = words(1) + (attempt < 8 ? "" : std::to_string(attempt));
    for (const JsonObject* schema : demands.objects) {
      const JsonValue* names = find_member(*schema, "propertyNames");
      if (names == nullptr) continue;
      const std::optional<JsonValue> made = make_value({names}, depth + 1);
      if (!made || made->string() == nullptr) return std::nullopt;
      name = *made->string();
    }
    if (find_member(object, name) != nullptr) {
      if (!spend() || attempt > 1000) return std::nullopt;
      continue;
    }
    if (!add_member(demands, name, depth, object)) {
      if (static_cast<double>(object.size()) >= demands.properties.least) break;
      return std::nullopt;
    }
  }
  return JsonValue(std::move(object));
}

}  // namespace kvasir
