// The small parts of Prometheus' text format.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir {

// As Prometheus' own libraries write it (1e-05, 0.0001, 131072, 1.048576e+06, +Inf, NaN): a bound's
// text is a label's value, and must be the same from every exporter.
std::string exposition_number(double value);

// name="value",... without braces. Values are escaped; bytes that are not UTF-8 become U+FFFD.
std::string exposition_labels(const std::vector<std::pair<std::string, std::string>>& labels);

// The two comment lines that a family begins with.
void append_exposition_head(std::string_view name, std::string_view help, std::string_view type,
                            std::string& text);

// name[suffix][{labels}] value
void append_exposition_line(std::string_view name, std::string_view suffix, std::string_view labels,
                            std::string_view value, std::string& text);

}  // namespace kvasir
