// Promise: every shipped input begins with the weights that it always began with. The digests in pinned_weights.txt
// were made by the first release of each input; a changed row means that published results cannot be made again.
#include "config/parse.hpp"
#include "io/digest.hpp"
#include "model/model.hpp"
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

using namespace weft;
namespace fs = std::filesystem;

namespace {

/// Of a tensor with more numbers only this many from its beginning and from its end go into the digest.
constexpr std::int64_t most_at_an_end = 65'536;

fs::path source() {
  const char* folder = std::getenv("WEFT_SOURCE");
  return folder == nullptr ? "." : folder;
}
fs::path table_path() { return source() / "tests/model/pinned_weights.txt"; }

/// One line a tensor: name and shape, as they stand in checkpoints.
std::string names_and_shapes(const ParameterList& parameters) {
  std::string text;
  for (const Parameter& p : parameters.all())
    text += fmt::format("{} ({})\n", p.name, fmt::join(p.shape, ", "));
  return text;
}

/// All that decides the initial weights: two inputs with equal text begin with equal weights, and are computed once.
std::string recipe(const ParameterList& parameters, std::int64_t seed) {
  std::string text = fmt::format("seed {}\n", seed) + names_and_shapes(parameters);
  for (const Parameter& p : parameters.all())
    text += fmt::format("{} {}\n", static_cast<int>(p.initialiser), p.std);
  return text;
}

std::string weights_digest(const ParameterList& parameters, std::int64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(parameters.extent()));
  initialise(values.data(), parameters, static_cast<std::uint64_t>(seed));
  Digest digest(Digest::Kind::sha256);
  const auto add = [&](const Parameter& p, std::int64_t first, std::int64_t n) {
    digest.update(values.data() + p.offset + first, static_cast<std::size_t>(n) * sizeof(float));
  };
  for (const Parameter& p : parameters.all()) {
    const std::int64_t head = std::min(p.size, most_at_an_end), tail = std::min(p.size - head, most_at_an_end);
    add(p, 0, head);
    add(p, p.size - tail, tail);
  }
  return digest.hex();
}

class Inputs {
 public:
  /// The row of an input: number of parameters, digest of names and shapes, digest of the weights.
  std::string row(const std::string& input) {
    const Config config = load_config((source() / input).string(), {}, DataCheck::skipped).config;
    const std::unique_ptr<Model> model = make_model(config);
    const ParameterList& parameters = model->parameters();
    const std::string shapes = names_and_shapes(parameters);
    std::string& digest = known_[recipe(parameters, config.run.seed)];
    if (digest.empty())
      digest = weights_digest(parameters, config.run.seed);
    return fmt::format("{} {} {}", parameters.count(), sha256(shapes.data(), shapes.size()), digest);
  }
  static std::vector<std::string> all() {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(source() / "inputs"))
      if (entry.path().extension() == ".toml")
        names.push_back(fs::relative(entry.path(), source()).generic_string());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::map<std::string, std::string> known_;
};

/// Comment lines, and the rows by input.
struct Table {
  std::string comments;
  std::map<std::string, std::string> rows;
};

Table read_table() {
  Table table;
  std::ifstream file(table_path());
  for (std::string line; std::getline(file, line);)
    if (line.empty() || line.front() == '#')
      table.comments += line + "\n";
    else
      table.rows[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
  return table;
}

} // namespace

TEST(Pinned, EveryInputBeginsWithItsWeights) {
  if (!fs::exists(source() / "inputs"))
    GTEST_SKIP() << "no folder " << source() / "inputs"
                 << "; set WEFT_SOURCE to the project";
  Table table = read_table();
  const bool add = std::getenv("WEFT_PIN_NEW_INPUTS") != nullptr;
  ASSERT_FALSE(table.comments.empty()) << table_path() << " is missing";
  Inputs inputs;
  std::size_t found = 0;
  for (const std::string& input : Inputs::all()) {
    const auto pinned = table.rows.find(input);
    if (pinned == table.rows.end() && !add) {
      ADD_FAILURE() << input << " has no row in " << table_path() << "; see there how to add it";
      continue;
    }
    const std::string row = inputs.row(input);
    if (pinned == table.rows.end())
      table.rows[input] = row;
    else
      EXPECT_EQ(row, pinned->second) << input;
    ++found;
  }
  EXPECT_EQ(found, table.rows.size()) << "a row in " << table_path() << " has no input file";
  if (!add)
    return;
  std::ofstream file(table_path());
  file << table.comments;
  for (const auto& [input, row] : table.rows)
    file << input << " " << row << "\n";
}

TEST(Pinned, TheDigestSeesEveryWeightNearTheEndsNamesAndShapes) {
  ParameterList one, renamed, reshaped;
  one.add("a", {300, 500}, Initialiser::normal, 0.5);
  renamed.add("b", {300, 500}, Initialiser::normal, 0.5);
  reshaped.add("a", {500, 300}, Initialiser::normal, 0.5);
  EXPECT_NE(names_and_shapes(one), names_and_shapes(renamed));
  EXPECT_NE(names_and_shapes(one), names_and_shapes(reshaped));
  EXPECT_EQ(weights_digest(one, 1), weights_digest(reshaped, 1));
  EXPECT_NE(weights_digest(one, 1), weights_digest(one, 2));
  ParameterList wider, longer;
  wider.add("a", {300, 500}, Initialiser::normal, 0.5000001);
  longer.add("a", {300, 501}, Initialiser::normal, 0.5);
  EXPECT_NE(weights_digest(one, 1), weights_digest(wider, 1));
  EXPECT_NE(weights_digest(one, 1), weights_digest(longer, 1)); // the numbers at its end are others
}
