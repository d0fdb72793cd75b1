#include "commands/sample_grid.hpp"
#include "io/png.hpp"
#include <cmath>

namespace weft {

GridLayout grid_layout(const SampleRequest& request, std::int64_t columns, std::int64_t scale) {
  GridLayout l;
  const std::int64_t h = request.size.height, w = request.size.width, total = request.total();
  if (columns > 0)
    l.columns = columns;
  else if (request.prompts.size() > 1)
    l.columns = request.samples;
  else
    l.columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(total))));
  l.rows = (total + l.columns - 1) / l.columns;
  l.scale = scale > 0 ? scale : std::max<std::int64_t>(1, 128 / std::max(h, w));
  l.line = request.given_rows > 0 ? std::max<std::int64_t>(1, l.scale / 2) : 0;
  l.width = l.margin + l.columns * (w * l.scale + l.margin);
  l.height = l.margin + l.rows * (h * l.scale + l.line + l.margin);
  return l;
}

void write_grid(const std::string& path, const std::vector<std::vector<std::uint16_t>>& samples,
                const SampleRequest& request, const GridLayout& l) {
  const std::int64_t h = request.size.height, w = request.size.width;
  constexpr std::uint8_t background = 48, red[3] = {230, 30, 30};
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(l.width * l.height * 3), background);
  const auto at = [&](std::int64_t x, std::int64_t y) { return pixels.data() + (y * l.width + x) * 3; };
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const auto number = static_cast<std::int64_t>(n);
    const std::int64_t left = l.margin + number % l.columns * (w * l.scale + l.margin);
    const std::int64_t top = l.margin + number / l.columns * (h * l.scale + l.line + l.margin);
    const std::int64_t line_top = top + request.given_rows * l.scale;
    for (std::int64_t y = line_top; y < line_top + l.line; ++y)
      for (std::int64_t x = left; x < left + w * l.scale; ++x)
        std::copy(red, red + 3, at(x, y));
    for (std::int64_t y = 0; y < h * l.scale; ++y) {
      const std::int64_t row = y / l.scale, line = row >= request.given_rows ? l.line : 0;
      for (std::int64_t x = 0; x < w * l.scale; ++x)
        for (std::int64_t c = 0; c < 3; ++c)
          at(left + x, top + y + line)[c] =
              static_cast<std::uint8_t>(samples[n][static_cast<std::size_t>((row * w + x / l.scale) * 3 + c)]);
    }
  }
  write_png(path, l.width, l.height, 3, pixels.data());
}

} // namespace weft
