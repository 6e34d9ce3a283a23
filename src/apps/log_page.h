// What a program's log says of itself, as a part of its metrics page.
#pragma once

#include <string>

namespace kvasir {

std::string log_page();

}  // namespace kvasir
