"""weft eval: any split, minimum context, another attention, the curve by context, the record in the run folder."""
import json
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from programs import ProgramTest, main, run


def curve(path):
    with open(path) as file:
        assert file.readline() == "context,bits,count\n"
        return [tuple(float(x) for x in line.split(",")) for line in file]


class EvalTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.train("model")
        self.model = self.run_folder("model")

    def evaluate(self, *arguments, **how):
        """The record that the call leaves, and what it printed."""
        path = f"{self.folder}/record.json"
        done = run(["eval", self.model, "--json", path, *arguments], **how)
        with open(path) as file:
            return json.load(file), done.stdout

    def test_the_curve_by_context_adds_up_to_the_mean_and_is_the_same_on_any_number_of_ranks(self):
        texts = []
        for ranks in (1, 3):
            path = f"{self.folder}/curve{ranks}.csv"
            record, _ = self.evaluate("--split", "test", "--by-position", path, ranks=ranks)
            texts.append(open(path).read())
        self.assertEqual(texts[0], texts[1])
        points = curve(path)
        self.assertEqual([p[0] for p in points], list(range(64)))
        count = sum(p[2] for p in points)
        self.assertEqual(count, record["tokens"])
        self.assertAlmostEqual(sum(p[1] * p[2] for p in points) / count, record["bits"], places=5)

    def test_minimum_context_scores_every_byte_once_and_late(self):
        plain, _ = self.evaluate("--split", "valid")
        zero, _ = self.evaluate("--split", "valid", "evaluation.minimum_context=0")
        self.assertEqual(plain["loss"], zero["loss"])
        path = f"{self.folder}/late.csv"
        late, text = self.evaluate("--split", "valid", "evaluation.minimum_context=48", "--by-position", path)
        self.assertEqual(late["tokens"], plain["tokens"])
        self.assertIn("minimum context 48", text)
        # Only the first window scores slots with less context than 48.
        self.assertTrue(all(count == 1 for context, _, count in curve(path) if context < 48))
        done = run(["eval", self.model, "evaluation.minimum_context=64"], status=2)
        self.assertIn("evaluation.minimum_context", done.stderr)

    def test_the_run_folder_keeps_a_record_of_each_evaluation(self):
        record, _ = self.evaluate("--split", "valid", "evaluation.minimum_context=16")
        with open(f"{self.model}/evaluations/valid-m16.json") as file:
            self.assertEqual(json.load(file), record)
        self.assertEqual(record["step"], 12)
        self.assertTrue(math.isclose(record["bits"], record["loss"] / math.log(2)))
        run(["eval", self.model, "--split", "valid", "--best"])
        self.assertTrue(os.path.exists(f"{self.model}/evaluations/valid-m0-best.json"))

    def test_another_attention_than_the_trained_one(self):
        trained, _ = self.evaluate("--split", "valid")
        other, text = self.evaluate("--split", "valid", "attention.pattern=strided", "attention.stride=8")
        self.assertIn("note: attention.pattern: trained with fixed, used strided", text)
        self.assertIn("note: attention.stride: trained with 16, used 8", text)
        self.assertNotEqual(trained["loss"], other["loss"])
        self.assertEqual(other["attention"]["pattern"], "strided")
        self.assertTrue(os.path.exists(f"{self.model}/evaluations/valid-m0-strided-l8.json"))
        # The same sets under another name give the same bits.
        dense, _ = self.evaluate("--split", "valid", "attention.pattern=dense")
        wide, _ = self.evaluate("--split", "valid", "attention.pattern=local", "attention.stride=64")
        self.assertEqual(dense["tokens"], wide["tokens"])
        self.assertAlmostEqual(dense["loss"], wide["loss"], places=6)


if __name__ == "__main__":
    main()
