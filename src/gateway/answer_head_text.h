// What is read of the text of an answer's head that somebody wrote already. Private to gateway/.
#pragma once

#include <string_view>

namespace kvasir {

// Of a whole head, "HTTP/1.1 200 OK\r\n...\r\n\r\n".
int status_in(std::string_view head);
// Its field lines, without the empty one.
std::string_view fields_in(std::string_view head);
// The value of the first field of that name in field lines; empty: there is none.
std::string_view field_in(std::string_view fields, std::string_view name);

}  // namespace kvasir
