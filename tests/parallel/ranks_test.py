"""The same input gives the same bits on 1, 2, 3 and 4 ranks."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, run


class RanksTest(ProgramTest):
    def test_every_number_of_ranks_gives_the_same_bits(self):
        self.train("one")
        for ranks in (2, 3, 4):
            self.train(f"ranks{ranks}", ranks=ranks)
            self.assert_same_run("one", f"ranks{ranks}", 12)

    def test_many_small_buckets_and_uneven_slots_give_the_same_bits(self):
        self.train("whole", "training.batch=6")
        done = self.train("buckets", "training.batch=6", "parallel.bucket_mib=0.01", ranks=4)
        self.assert_same_run("whole", "buckets", 12)
        self.assertGreater(int(re.search(r"gradient sums: (\d+) % of the bytes", done.stdout)[1]), 50)

    def test_evaluation_has_the_same_bits_on_any_number_of_ranks(self):
        self.train("one")
        texts = [run(["eval", self.run_folder("one"), "--split", "valid"], ranks=r).stdout for r in (1, 2, 3)]
        self.assertEqual(texts[0], texts[1])
        self.assertEqual(texts[0], texts[2])

    def test_more_ranks_than_micro_batches_is_an_input_error(self):
        done = self.train("many", "training.batch=2", ranks=3, status=2)
        self.assertIn("start at most 2 ranks", done.stderr)
        self.assertEqual(done.stderr.count("weft: error"), 1)


if __name__ == "__main__":
    main()
