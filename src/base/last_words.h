// What is done once before a failed assertion ends the process: a log that is written by another
// thread writes what it still has.
#pragma once

namespace kvasir {

// `act` must be quick and must not fail; nullptr: nothing.
void set_last_act(void (*act)());

}  // namespace kvasir
