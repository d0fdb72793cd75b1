"""The picture of a trace, and how much of the gradient's sum it says is hidden, on a made-up trace with a known answer."""
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "postproc")]
import plot_trace  # noqa: E402
from figures_test import FigureTest  # noqa: E402


def event(rank, kind, begin, end, number=-1):
    """Times in milliseconds."""
    return dict(name=kind, cat=kind, ph="X", pid=rank, tid=0, ts=1e3 * begin, dur=1e3 * (end - begin),
                args=dict(number=number))


def a_step(rank, begin, number):
    """100 ms: forward 30, backward 50; two buckets, of which 20 of 25 ms on their way lie within the backward pass."""
    parts = [("step", 0, 100, number), ("forward", 0, 30, -1), ("forward layer", 1, 29, 0), ("product", 2, 20, -1),
             ("backward", 30, 80, -1), ("backward layer", 31, 79, 0), ("attention", 35, 45, -1),
             ("bucket out", 60, 70, 0), ("bucket sum", 70, 71, 0), ("bucket back", 71, 76, 0),
             ("bucket out", 74, 82, 1), ("bucket sum", 82, 83, 1), ("bucket back", 83, 85, 1),
             ("wait", 80, 85, -1), ("optimiser", 85, 99, -1)]
    return [event(rank, kind, begin + a, begin + z, n) for kind, a, z, n in parts]


def trace():
    names = [dict(name="process_name", ph="M", pid=rank, tid=0, args=dict(name=f"rank {rank}")) for rank in range(2)]
    return {"traceEvents": names + [e for rank in range(2) for k in range(2) for e in a_step(rank, 100 * k, k)]}


class TraceTest(FigureTest):
    def test_what_lies_within_the_backward_pass_counts_once(self):
        path = self.file("trace.json", json.dumps(trace()))
        ranks = plot_trace.read(path)
        self.assertEqual(list(ranks), [0, 1])
        step = plot_trace.one_step(ranks[0], None)
        self.assertEqual(step[0][:2], ("step", 1))
        self.assertEqual(len(step), 15)
        travelling, inside, waited = plot_trace.hidden(step)
        self.assertAlmostEqual(travelling, 0.025)
        self.assertAlmostEqual(inside, 0.020)
        self.assertAlmostEqual(waited, 0.005)

    def test_prints_the_share_and_draws(self):
        self.file("trace.json", json.dumps(trace()))
        done = self.script("plot_trace.py", "trace.json", "--out", "p")
        for rank in range(2):
            self.assertIn(f"rank {rank}: step of 100 ms, buckets travel for 25 ms, 80 % of it within the backward pass; "
                          "waited 5 ms", done.stdout)
        self.assert_pictures("p")

    def test_times_are_milliseconds_and_not_rounded_away(self):
        self.assertEqual([plot_trace.milliseconds(s) for s in (0.00225, 0.0005, 0.0314, 0.1004, 2.5)],
                         ["2.25 ms", "0.5 ms", "31.4 ms", "100 ms", "2500 ms"])
        self.file("trace.json", json.dumps(trace()))
        figure, _ = plot_trace.draw(plot_trace.read(os.path.join(self.folder, "trace.json")))
        axis = figure.axes[-1].xaxis
        self.assertEqual((axis.get_label_text(), axis.get_major_formatter()(0.05, 0)), ("milliseconds", "50"))

    def test_one_rank_has_no_buckets(self):
        alone = [e for e in trace()["traceEvents"] if e["pid"] == 0 and "bucket" not in e["name"]]
        self.file("trace.json", json.dumps({"traceEvents": alone}))
        done = self.script("plot_trace.py", "trace.json", "--step", "0")
        self.assertIn("rank 0: step of 100 ms\n", done.stdout)
        self.assert_pictures("trace")

    def test_tells_what_is_no_trace(self):
        self.file("trace.json", json.dumps(trace()))
        self.file("text.json", "not json")
        self.file("list.json", "[]")
        self.file("empty.json", json.dumps({"traceEvents": []}))
        for arguments, message in ((["text.json"], "--trace writes"), (["list.json"], "--trace writes"),
                                   (["empty.json"], "at least one"), (["none.json"], "make it with weft bench"),
                                   (["trace.json", "--step", "7"], "got 7, the trace holds 0, 1")):
            self.assertIn(message, self.script("plot_trace.py", *arguments, status=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
