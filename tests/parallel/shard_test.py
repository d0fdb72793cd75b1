"""parallel.shard_optimizer changes memory and no bit, and any number of ranks continues what any other has begun."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, run

SHARD = "parallel.shard_optimizer=true"


class ShardTest(ProgramTest):
    def test_sharded_moments_give_the_same_bits_on_every_number_of_ranks(self):
        self.train("whole")
        for ranks in (1, 2, 3, 4):
            self.train(f"shards{ranks}", SHARD, ranks=ranks)
            self.assert_same_run("whole", f"shards{ranks}", 12)
            self.assertIn("equal: all", run(["inspect", self.checkpoint("whole", 12),
                                             self.checkpoint(f"shards{ranks}", 12)]).stdout)

    def test_any_world_continues_any_other_with_and_without_shards(self):
        constant = ("schedule.kind='constant'", "schedule.warmup_steps=0")
        self.train("whole", "training.steps=15", *constant)
        for steps, ranks, shard in ((3, 3, "true"), (5, 2, "false"), (8, 4, "true"), (11, 1, "true"), (13, 3, "false"),
                                    (15, 2, "true")):
            self.train("parts", f"training.steps={steps}", *constant, f"parallel.shard_optimizer={shard}", ranks=ranks)
        self.assert_same_run("whole", "parts", 15)

    def test_clipping_and_dropout_are_the_same_with_shards(self):
        rough = ("optimizer.learning_rate=3", "optimizer.clip=0.01", "model.dropout=0.3")
        self.train("whole", *rough)
        self.train("shards", *rough, SHARD, ranks=3)
        self.assert_same_run("whole", "shards", 12)

    def test_the_prediction_shows_a_share_of_the_moments(self):
        def moments(*overrides):
            text = run(["check", self.input, *overrides, "--ranks", "4"]).stdout
            number, unit = re.search(r"optimiser moments\s+([\d.]+) (\w+)", text).groups()
            return float(number) * {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]

        wide = ("model.width=128", "model.layers=8")
        self.assertLess(moments(*wide, SHARD), 0.35 * moments(*wide))


if __name__ == "__main__":
    main()
