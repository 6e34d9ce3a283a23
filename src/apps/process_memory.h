// What the programs that carry requests ask of the process they run in.
#pragma once

namespace kvasir {

// Memory of bodies is handed back and taken again at every request: mapping it anew each time would
// cost more than the request.
void keep_freed_memory();

}  // namespace kvasir
