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

    def test_the_log_says_what_carries_gradients_and_the_cpu_build_refuses_what_gpus_have(self):
        self.train("two", ranks=2)
        with open(self.run_folder("two") + "/run.log") as log:
            self.assertRegex(log.read(), r"(?m)gradient sums +MPI$")
        for key, value in (("transport", "'nccl'"), ("cuda_graph", "true")):
            done = self.train("refused", f"parallel.{key}={value}", ranks=2, status=2)
            self.assertRegex(done.stderr, rf"parallel\.{key} = .*cpu build")
            self.assertFalse(os.path.exists(self.run_folder("refused")))

    def test_what_lay_in_memory_before_is_never_counted(self):
        uneven = ("model.width=24", "model.heads=2", "model.context=60")  # tensors that end within a cache line
        self.train("clean", *uneven)
        for ranks in (1, 2):
            self.train(f"dirty{ranks}", *uneven, ranks=ranks, environment={"MALLOC_PERTURB_": "165"})
            self.assert_same_run("clean", f"dirty{ranks}", 12)

    def test_more_ranks_than_micro_batches_is_an_input_error(self):
        done = self.train("many", "training.batch=2", ranks=3, status=2)
        self.assertIn("start at most 2 ranks", done.stderr)
        self.assertEqual(done.stderr.count("weft: error"), 1)


if __name__ == "__main__":
    main()
