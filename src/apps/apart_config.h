// How the gateway routes when its flags say who prefills and who decodes, and no configuration says
// more.
#pragma once

#include <string_view>

namespace kvasir {

// The text of an EndpointPickerConfig.
std::string_view apart_config();

}  // namespace kvasir
