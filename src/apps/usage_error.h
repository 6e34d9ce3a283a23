// What is wrong with a command line, where the parser's own words do not name it: an unknown
// subcommand, an unknown flag, a word too many.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvasir {

// One line that names the word, what may have been meant, and which --help lists the rest. "": the
// parser's own message says it. `app` is the one that was parsed.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error);

// `message` with the variables of the environment in place of those flags of `command` that got
// their values from them.
std::string with_variables(const CLI::App& command, std::string message);
// The same for what is wrong with the command line that `app` parsed; "": no variable is to blame.
std::string variable_error(const CLI::App& app, const CLI::ParseError& error);

}  // namespace kvasir
