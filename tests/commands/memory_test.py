"""A run takes the memory that it and `weft check` said before, within a tenth; sparse patterns take it in proportion to N."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import ProgramTest, main, run

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def sizes(pattern, text):
    """Bytes of the figures behind the pattern."""
    found = re.search(pattern, text)
    if not found:
        raise AssertionError(f"no {pattern} in\n{text}")
    numbers = found.groups()
    return [float(number) * UNITS[unit] for number, unit in zip(numbers[::2], numbers[1::2])]


SIZE = r"([\d.]+) (B|KiB|MiB|GiB)"
OPTIONS = {"strided": ["attention.pattern=strided", "attention.stride=128"],
           "fixed": ["attention.pattern=fixed", "attention.stride=128", "attention.summary=32"]}
MODEL = ["model.layers=3", "model.width=128", "model.heads=4", "training.batch=2"]


class MemoryTest(ProgramTest):
    text_bytes = 150_000

    @classmethod
    def setUpClass(cls):
        build = run(["--version"]).stdout
        if "CUDA OFF, sanitizers OFF" not in build:
            raise unittest.SkipTest("memory on a device, or with a sanitizer's own in it, is not what is predicted here")

    def peak_and_predicted(self, name, *overrides, **how):
        done = self.train(name, *MODEL, "training.steps=2", "schedule.warmup_steps=1", "checkpoint.every_steps=1",
                          "evaluation.max_windows=1", *overrides, **how)
        return sizes(rf"peak memory {SIZE} per rank, predicted {SIZE}", done.stdout)

    def assert_within_a_tenth(self, peak, predicted):
        self.assertGreater(peak, 2**20 * 100)
        self.assertTrue(0.9 * predicted <= peak <= 1.1 * predicted, f"{peak / 2**20:.0f} of {predicted / 2**20:.0f} MiB")

    def test_a_run_takes_what_was_predicted(self):
        for pattern, options in OPTIONS.items():
            with self.subTest(pattern):
                peak, predicted = self.peak_and_predicted(pattern, "model.context=4096", *options)
                self.assert_within_a_tenth(peak, predicted)
                check = run(["check", self.input, *MODEL, "model.context=4096", *options]).stdout
                told, = sizes(rf"together +{SIZE}", check)
                self.assert_within_a_tenth(peak, told)

    def test_so_does_each_of_two_ranks(self):
        peak, predicted = self.peak_and_predicted("two", "model.context=4096", *OPTIONS["fixed"], ranks=2)
        self.assert_within_a_tenth(peak, predicted)

    def test_memory_is_linear_in_the_length_up_to_65536(self):
        for pattern, options in OPTIONS.items():
            with self.subTest(pattern):
                by_length = [sizes(rf"together +{SIZE}", run(["check", self.input, *MODEL, "data.path=nowhere",
                                                              f"model.context={N}", *options]).stdout)[0]
                             for N in (4096, 16384, 65536)]
                first, second = by_length[1] - by_length[0], by_length[2] - by_length[1]
                self.assertGreater(first, 2**20 * 50)
                self.assertTrue(3.8 <= second / first <= 4.3, f"{pattern}: {by_length}")


if __name__ == "__main__":
    main()
