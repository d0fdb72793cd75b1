// Which task an input file asks for. Keys that this version's table does not have are at their default.
#pragma once
#include "tasks/labelled.hpp"
#include <string>

namespace weft {

/// data.task
template <class C>
std::string task_name(const C& config) {
  if constexpr (requires { config.data.task; })
    return config.data.task;
  else
    return "next_token";
}

/// Of labelled examples, by attention.form: as the arena's released code has it (lra), where token 0 is padding
/// wherever it stands, or by the true lengths (paper).
template <class C>
KeyBits key_bits(const C& config) {
  if constexpr (requires { config.attention.form; })
    return config.attention.form == "lra" ? KeyBits::by_token : KeyBits::by_length;
  else
    return KeyBits::by_length;
}

} // namespace weft
