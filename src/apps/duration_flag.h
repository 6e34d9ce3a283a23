// Durations on the command line. Our own flags take "2m", "500ms" and a number alone, which counts
// what the flag's help names; upstream's take what Go's flags take, so a number alone is refused.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvasir {

// Adds an option that holds seconds. The help gets a word on how a duration is written, and the
// default is the value that `seconds` has now.
CLI::Option* add_seconds_flag(CLI::App& command, const std::string& name, double& seconds,
                              const std::string& help);
// The same for a flag of upstream's.
CLI::Option* add_upstream_duration_flag(CLI::App& command, const std::string& name, double& seconds,
                                        const std::string& help);

// For options of other types: they turn a duration into a number of seconds or of milliseconds.
CLI::Validator as_seconds();
CLI::Validator as_milliseconds();

// What is wrong with a duration of a flag of upstream's; "" when nothing is.
std::string upstream_duration_problem(const std::string& text);

}  // namespace kvasir
