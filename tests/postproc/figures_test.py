"""The figures of bits by context and of attention patterns."""
import os
import unittest

import matplotlib.image
import numpy as np

from scripts import ScriptTest
import figures
import plot_context
import plot_patterns
from plot_patterns import FIRST, FUTURE, OWN, SECOND, UNSEEN


class FigureTest(ScriptTest):
    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def assert_pictures(self, prefix):
        picture = matplotlib.image.imread(os.path.join(self.folder, prefix + ".png"))
        self.assertGreater(len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)), 5)
        with open(os.path.join(self.folder, prefix + ".pdf"), "rb") as f:
            self.assertEqual(f.read(5), b"%PDF-")
        self.assertEqual([f for f in os.listdir(self.folder) if "partial" in f], [])


class ContextTest(FigureTest):
    def test_ranges_keep_the_mean_over_tokens_and_the_first_token(self):
        context = np.arange(1024.0)
        bits, count = 5 / (1 + context) + 2, np.where(context < 100, 3.0, 7.0)
        x, y, tokens = plot_context.binned(context, bits, count, 12)
        self.assertEqual(tokens.sum(), count.sum())
        self.assertAlmostEqual((y * tokens).sum() / tokens.sum(), (bits * count).sum() / count.sum())
        self.assertEqual((x[0], y[0]), (0, 7))
        self.assertTrue((np.diff(x) > 0).all() and (np.diff(y) < 0).all())
        self.assertLessEqual(len(x), 13)

    def test_one_place_of_context_is_enough(self):
        x, y, tokens = plot_context.binned(*np.array([[0.0], [3.0], [5.0]]))
        self.assertEqual((x.tolist(), y.tolist(), tokens.tolist()), ([0], [3], [5]))

    def test_a_mean_over_few_tokens_is_a_dot(self):
        self.assertEqual(plot_context.areas(np.array([1000.0, 500.0, 0.0])).tolist(), [25, 13, 1])
        figure = plot_context.draw([("a", (np.arange(64.0), np.full(64, 3.0), np.full(64, 9.0)))])
        self.assertEqual(figure.axes[0].get_xscale(), "symlog")  # the first token stands at 0
        self.assertEqual(figure.axes[0].lines[0].get_xdata()[0], 0)

    def test_large_numbers_have_words(self):
        figure, axes = figures.plt.subplots()
        figures.in_words(axes.xaxis)
        self.assertEqual(axes.xaxis.get_major_formatter()(2e6, 0).replace("\u2009", " "), "2 M")

    def test_draws_two_curves(self):
        for name, shift in (("a.csv", 0), ("b.csv", 1)):
            self.file(name, "context,bits,count\n" + "".join(f"{i},{3 + shift + 2 / (i + 1)},10\n" for i in range(64)))
        self.script("plot_context.py", "a.csv", "b.csv", "--labels", "dense", "fixed", "--out", "p")
        self.assert_pictures("p")

    def test_tells_what_is_no_curve(self):
        for text, message in (("x,y\n1,2\n", "expected context,bits,count"), ("context,bits,count\n0,nan,3\n", "finite"),
                              ("context,bits,count\n0,a,3\n", "three numbers"), ("context,bits,count\n", "at least one"),
                              ("", "empty file")):
            self.file("bad.csv", text)
            self.assertIn(message, self.script("plot_context.py", "bad.csv", status=1).stderr)
        self.assertIn("weft eval RUN --by-position", self.script("plot_context.py", "none.csv", status=1).stderr)


class PatternTest(FigureTest):
    def test_the_matrix_has_the_sets_in_their_colours(self):
        local, column = [[0], [0, 1], [1, 2], [2, 3]], [[0], [1], [0, 2], [1, 3]]
        expected = [[OWN, FUTURE, FUTURE, FUTURE], [FIRST, OWN, FUTURE, FUTURE], [SECOND, FIRST, OWN, FUTURE],
                    [UNSEEN, SECOND, FIRST, OWN]]
        np.testing.assert_array_equal(plot_patterns.matrix([local, column]), expected)
        only = plot_patterns.matrix([[[], [0], [0], [0]]])
        self.assertEqual(only[1, 1], UNSEEN)  # the own position is dark only where it is seen

    def test_a_leak_shows_above_the_diagonal(self):
        picture = plot_patterns.matrix([[[0, 1], [0, 1]]])
        self.assertEqual(picture[0, 1], FIRST)

    def test_a_row_is_folded_like_an_image(self):
        row = np.array([FIRST, UNSEEN, FIRST, OWN, FUTURE])
        np.testing.assert_array_equal(plot_patterns.folded(row, 3, 3), [[FIRST, UNSEEN, FIRST], [OWN, FUTURE, FUTURE]])

    def test_cells_are_ruled_only_where_they_are_wider_than_the_lines(self):
        for n, ruled in ((16, True), (100, False)):
            figure = plot_patterns.draw([("dense", [[list(range(q + 1)) for q in range(n)]])])
            self.assertEqual([len(part.xaxis.get_minorticklocs()) > 0 for part in figure.axes], [ruled, ruled])
            figures.plt.close(figure)

    def test_draws_files_one_set_or_two(self):
        n = 16
        self.file("local.csv", "".join(",".join(map(str, [q, *range(max(0, q - 3), q + 1)])) + "\n" for q in range(n)))
        self.file("comb.csv", "".join(",".join(map(str, [q, *range(q % 4, q + 1, 4)])) + "\n" for q in range(n)))
        self.script("plot_patterns.py", "local.csv+comb.csv", "local.csv", "--labels", "strided", "local", "--query", "99")
        self.assert_pictures("patterns")

    def test_tells_what_is_no_pattern(self):
        for text, message in (("0,0\n2,1\n", "expected 1"), ("0,x\n", "positions it sees"), ("0,5\n", "outside 0 to 0"),
                              ("", "0 queries")):
            self.file("bad.csv", text)
            self.assertIn(message, self.script("plot_patterns.py", "bad.csv", status=1).stderr)
        self.assertIn("weft pattern INPUT --csv", self.script("plot_patterns.py", "none.csv", status=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
