"""weft eval: any split, minimum context, another attention, the curve by context, the record in the run folder."""
import json
import math
import os
import sys

import h5py

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

    def test_accuracy_by_length_is_refused(self):
        path = f"{self.folder}/lengths.csv"
        done = run(["eval", self.model, "--by-length", path], status=2)
        self.assertIn("the model predicts tokens, expected one of classes; --by-position FILE", done.stderr)
        self.assertFalse(os.path.exists(path))

    def test_the_run_folder_keeps_a_record_of_each_evaluation(self):
        record, _ = self.evaluate("--split", "valid", "evaluation.minimum_context=16")
        with open(f"{self.model}/evaluations/valid-m16.json") as file:
            self.assertEqual(json.load(file), record)
        self.assertEqual(record["step"], 12)
        self.assertTrue(math.isclose(record["bits"], record["loss"] / math.log(2)))
        run(["eval", self.model, "--split", "valid", "--best"])
        self.assertTrue(os.path.exists(f"{self.model}/evaluations/valid-m0-best.json"))

    def test_other_data_window_or_precision_is_told_and_kept_apart(self):
        self.evaluate()
        with open(self.folder + "/other.txt", "w") as file:
            file.write("quite another text, with other letters: 0123456789\n" * 120)
        other = self.folder + "/other"
        run(["prepare", "text", "--from", self.folder + "/other.txt", "--to", other])
        for override, told in ((f"data.path={other}", "of another source"), ("model.context=32", "model.context: trained"),
                               ("run.precision=bf16", "run.precision: trained")):
            record, text = self.evaluate(override)
            self.assertIn(told, text)
            self.assertFalse(record["as_trained"])
        self.assertEqual(len(os.listdir(self.model + "/evaluations")), 4)
        with open(self.model + "/evaluations/test-m0.json") as file:
            self.assertTrue(json.load(file)["as_trained"])

    def test_random_features_of_a_checkpoint_are_those_it_was_scored_with(self):
        # Steps 8 to 11 share a draw; the test at the end of the run scores the weights of step 12.
        self.train("drawn", "attention.pattern=performer", "attention.redraw_steps=4")
        self.model = self.run_folder("drawn")
        with h5py.File(self.model + "/metrics.h5") as file:
            loss = float(file["final/test_loss"][()])
        record, _ = self.evaluate("--split", "test")
        self.assertEqual(record["loss"], loss)
        again, _ = self.evaluate("--split", "test", ranks=2)
        self.assertEqual(again["loss"], loss)
        other, _ = self.evaluate("--split", "test", "attention.redraw_steps=3")
        self.assertNotEqual(other["loss"], loss)

    def test_data_that_the_model_does_not_know_is_refused(self):
        self.assertIn("model.vocabulary", self.train("small", "model.vocabulary=100", status=2).stderr)
        self.assertIn("model.vocabulary", run(["check", self.input, "model.vocabulary=100"], status=2).stderr)
        for file in os.listdir(self.folder + "/data"):
            with h5py.File(f"{self.folder}/data/{file}", "r+") as shard:
                shard.attrs["vocabulary"] = 100  # a lie: the text has letters beyond 100
        for command in (["eval", self.model], ["train", self.input, "run.name=lie"]):
            done = run(command, status=4)
            self.assertIn("below its vocabulary of 100", done.stderr)

    def test_a_run_folder_of_somebody_else_costs_no_result(self):
        open(self.model + "/evaluations", "w").close()  # nothing can be written below it, by root neither
        record, text = self.evaluate()
        self.assertIn("note: the tables will not find this result", text)
        self.assertGreater(record["bits"], 0)

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
