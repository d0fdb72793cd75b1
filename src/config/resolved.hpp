// The resolved input: what a run really used, in the form it was given in.
#pragma once
#include "config/keys.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// Every key with its value, section by section, help and unit as comments. Parses back to the same bits.
std::string to_toml(const Config& config);

/// The inverse. No cross-key checks: a stored config may name a data set that is gone. Throws InputError.
Config from_toml_text(const std::string& text, const std::string& name = "stored config");

/// Sizes of the position tables: model.position_shape, or (ceil(N/l), l) where that is empty; none where the model has
/// no such tables.
std::vector<std::int64_t> position_tables(const Config& config);

/// One line for every key with this `shapes` that at least one of the two configs reads and whose values differ:
/// "model.width: saved 256, asked for 512", with `of_one` = "saved" and `of_other` = "asked for".
std::vector<std::string> differences(const Config& one, const Config& other, Shapes shapes, const char* of_one,
                                     const char* of_other);

/// One line per key by which the parameters of `asked` differ from those of `saved` in shape or meaning (the keys with
/// Shapes::parameters; position tables by their sizes, learned positions by the context); empty if weights of one fit
/// the other.
std::vector<std::string> model_differences(const Config& saved, const Config& asked);

} // namespace weft
