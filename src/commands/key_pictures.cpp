#include "commands/key_pictures.hpp"
#include "io/atomic_file.hpp"
#include "io/png.hpp"
#include <algorithm>
#include <fmt/format.h>

namespace weft {
namespace {

constexpr std::int64_t cell_pixels = 12;       // of a PNG's cell, its grid line included
constexpr std::int64_t finest_grid = 128;      // positions up to which a PNG has cells
constexpr std::int64_t largest_picture = 1536; // pixels; longer sequences are averaged down to this

struct Colour {
  double r, g, b;
};
constexpr Colour future{255, 255, 255}, unseen{232, 232, 232}, own{8, 48, 107}, first{66, 146, 198},
    second{158, 202, 225};

} // namespace

void write_keys(const std::string& path, const KeysOf& keys_of, std::int64_t N) {
  AtomicFile file(path);
  std::string line;
  for (int query = 0; query < N; ++query) {
    line = std::to_string(query);
    for (const int key : keys_of(query))
      line += "," + std::to_string(key);
    line += "\n";
    file.write(line);
  }
  file.commit();
}

std::string keys_in_letters(const KeysOf& keys_of, std::int64_t N) {
  std::string out;
  for (int query = 0; query < N; ++query) {
    std::string row(static_cast<std::size_t>(N), ' ');
    std::fill(row.begin(), row.begin() + query + 1, '.');
    for (const int key : keys_of(query))
      row[static_cast<std::size_t>(key)] = '#';
    row.resize(row.find_last_not_of(' ') + 1); // at least the query's own position is left
    out += fmt::format("  {:>4} {}\n", query, row);
  }
  return out;
}

void draw_keys(const std::string& path, const KeysOf& keys_of, const KeysOf& dark, std::int64_t N,
               const std::function<void(double)>& progress) {
  const bool cells = N <= finest_grid;
  const std::int64_t size = cells ? N * cell_pixels + 1 : std::min(N, largest_picture);
  std::vector<Colour> sum(static_cast<std::size_t>(size), Colour{});
  std::vector<double> weight(static_cast<std::size_t>(size));
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size * size * 3), 200); // grid lines
  std::vector<Colour> row(static_cast<std::size_t>(N));
  const auto put = [&](std::int64_t y, std::int64_t x, const Colour& c, double over) {
    std::uint8_t* at = &pixels[static_cast<std::size_t>((y * size + x) * 3)];
    at[0] = static_cast<std::uint8_t>(c.r / over + 0.5);
    at[1] = static_cast<std::uint8_t>(c.g / over + 0.5);
    at[2] = static_cast<std::uint8_t>(c.b / over + 0.5);
  };
  for (int query = 0; query < N; ++query) {
    std::fill(row.begin(), row.begin() + query + 1, unseen);
    std::fill(row.begin() + query + 1, row.end(), future);
    for (const int key : keys_of(query))
      row[static_cast<std::size_t>(key)] = dark ? second : first;
    if (dark)
      for (const int key : dark(query))
        row[static_cast<std::size_t>(key)] = first;
    if (row[static_cast<std::size_t>(query)].r != unseen.r)
      row[static_cast<std::size_t>(query)] = own;
    if (cells) {
      for (std::int64_t key = 0; key < N; ++key)
        for (std::int64_t y = 1; y < cell_pixels; ++y)
          for (std::int64_t x = 1; x < cell_pixels; ++x)
            put(query * cell_pixels + y, key * cell_pixels + x, row[static_cast<std::size_t>(key)], 1);
      continue;
    }
    for (std::int64_t key = 0; key < N; ++key) {
      Colour& to = sum[static_cast<std::size_t>(key * size / N)];
      const Colour& from = row[static_cast<std::size_t>(key)];
      to = {to.r + from.r, to.g + from.g, to.b + from.b};
      weight[static_cast<std::size_t>(key * size / N)] += 1;
    }
    const std::int64_t y = query * size / N;
    if (query + 1 < N && (query + 1) * size / N == y)
      continue; // more rows belong to this line of pixels
    for (std::int64_t x = 0; x < size; ++x)
      put(y, x, sum[static_cast<std::size_t>(x)], weight[static_cast<std::size_t>(x)]);
    if (progress)
      progress(static_cast<double>(query + 1) / static_cast<double>(N));
    std::fill(sum.begin(), sum.end(), Colour{});
    std::fill(weight.begin(), weight.end(), 0.0);
  }
  write_png(path, size, size, 3, pixels.data());
}

} // namespace weft
