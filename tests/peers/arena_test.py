"""torch.nn.TransformerEncoderLayer in float64 has the arena encoder's logits and gradients: those of the program to 1e-4,
and those of the double-precision references of its operations to 1e-10; skipped (77) without PyTorch."""
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
if importlib.util.find_spec("torch") is None:
    print("SKIPPED: PyTorch is not installed (Debian: python3-torch)")
    sys.exit(77)
import h5py
import torch

import arena_twin
import one_step
from arena_reference import Encoder
from programs import main, run

TWIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "arena_twin.py")
INPUT = one_step.RUN + one_step.ENCODER + """positions = "{positions}"
pooling = "{pooling}"
dropout = 0.0
[attention]
pattern = "dense"
""" + one_step.ONE_STEP

SECOND_CODE = ["model.code=nystromformer", "run.fresh=true"]
BERT = ["model.code=bert", "model.stream=post_norm", "model.head=pooler", "run.fresh=true"]


class Arena(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = self.scratch.name
        self.addCleanup(self.scratch.cleanup)

    def listops(self):
        run(["generate", "listops", "--to", self.folder + "/listops", "--examples", "12,4,6", "--max-depth", "4",
             "--max-arguments", "5", "--min-length", "10", "--max-length", "60"])

    def pairs(self):
        os.makedirs(self.folder + "/texts")
        words = "sparse attention weaves cloth from long threads and short ones".split()
        for n in range(60):
            with open(f"{self.folder}/texts/{n:02d}.txt", "w", encoding="ascii") as f:
                f.write(" ".join(words[(n * k * k + k) % len(words)] + str(n) for k in range(40)))
        run(["generate", "pairs", "--from", self.folder + "/texts", "--to", self.folder + "/pairs", "--examples", "12,4,6",
             "--length", "64"])

    def train(self, data, task, positions, pooling, *arguments):
        """One step; returns the path of the checkpoint before it."""
        with h5py.File(f"{self.folder}/{data}/train-00000-of-00001.h5") as f:
            context, vocabulary = f["tokens"].shape[1], int(f.attrs["vocabulary"])
        path = self.folder + "/input.toml"
        with open(path, "w", encoding="ascii") as f:
            f.write(INPUT.format(folder=self.folder, data=data, task=task, context=context, vocabulary=vocabulary,
                                 positions=positions, pooling=pooling))
        run(["train", path, *arguments])
        return self.folder + "/runs/run/checkpoints/step-00000000.h5"


class ArenaTwin(Arena):
    def compare(self, data, task, positions, pooling, *overrides, change=None):
        gradients, logits = self.folder + "/gradients.h5", self.folder + "/logits.h5"
        first = self.train(data, task, positions, pooling, *overrides, "--dump-gradients", gradients)
        run(["eval", first, "--split", "test", "--logits", logits])
        if change:
            change(gradients)
        done = subprocess.run([sys.executable, "-B", TWIN, "--checkpoint", first, "--gradients", gradients, "--logits",
                               logits], capture_output=True, text=True)
        return done

    def assert_agrees(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("agrees", done.stdout)

    def test_cls_with_learned_positions(self):
        self.listops()
        self.assert_agrees(self.compare("listops", "classify", "learned", "cls"))

    def test_mean_with_sinusoid(self):
        self.listops()
        self.assert_agrees(self.compare("listops", "classify", "sinusoid", "mean"))

    def test_pairs_with_two_and_four_features(self):
        self.pairs()
        self.assert_agrees(self.compare("pairs", "pairs", "sinusoid", "cls"))
        self.assert_agrees(self.compare("pairs", "pairs", "learned", "mean", "run.fresh=true", "model.pair_features=four"))

    def test_the_second_code_with_one_document_and_two(self):
        self.listops()
        self.pairs()
        self.assert_agrees(self.compare("listops", "classify", "learned", "mean", *SECOND_CODE))
        self.assert_agrees(self.compare("pairs", "pairs", "learned", "mean", *SECOND_CODE, "model.pair_features=four"))

    def test_the_codes_of_bert_and_gpt2_are_torchs_layers_with_norms_behind_or_a_causal_mask(self):
        self.listops()
        self.pairs()
        self.assert_agrees(self.compare("listops", "classify", "learned", "cls", *BERT))
        self.assert_agrees(self.compare("listops", "classify", "learned", "first", *BERT))
        self.assert_agrees(self.compare("pairs", "pairs", "learned", "first", *BERT, "model.pair_features=four"))
        self.assert_agrees(self.compare("listops", "classify", "learned", "last", "model.code=gpt2", "run.fresh=true"))

    def test_a_wrong_gradient_is_noticed(self):
        def spoil(path):
            with h5py.File(path, "r+") as f:
                group = f["parameters"] if "parameters" in f else f
                group["block.00.norm1.gain"][0] *= 1.01
        self.listops()
        done = self.compare("listops", "classify", "learned", "cls", change=spoil)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)


class DoubleReference(Arena):
    """The references, put together, against PyTorch: both in double precision, with the weights of a checkpoint."""

    def twins(self, *input):
        config, weights = arena_twin.load(self.train(*input))
        twin = arena_twin.Twin(weights, config)
        learned = "embedding.position.0" in weights or config["model.positions"] == "none"
        tokens, real, labels = arena_twin.split_of(config, "train")
        fixed = None if learned else twin.positions(tokens.shape[1] + int(twin.front), int(config["model.width"])).numpy()
        ours = Encoder({name: w.detach().numpy() for name, w in twin.w.items()}, config, fixed)
        return ours, twin, (tokens, real, labels)

    def errors(self, ours, twin, tokens, real, labels):
        """The relative errors of loss, logits and gradients by name."""
        logits = twin(tokens, real)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        gradients = dict(zip(twin.w, torch.autograd.grad(loss, list(twin.w.values()))))
        got = {"logits": ours.forward(tokens.numpy(), real.numpy()), "loss": ours.backward(labels.numpy()), **ours.gradients}
        want = {"logits": logits.detach(), "loss": loss.detach(), **gradients}
        self.assertEqual(sorted(got), sorted(want))
        return {name: float((torch.as_tensor(got[name]) - want[name]).norm() / want[name].norm()) for name in want}

    def assert_agree(self, *twins):
        errors = self.errors(*twins[:2], *twins[2])
        print(f"largest relative error {max(errors.values()):.1e}")
        for name, error in errors.items():
            self.assertLess(error, 1e-10, name)

    def test_classes_by_cls_and_mean(self):
        self.listops()
        for positions, pooling in (("learned", "cls"), ("sinusoid", "mean"), ("none", "cls")):
            with self.subTest(positions=positions, pooling=pooling):
                self.assert_agree(*self.twins("listops", "classify", positions, pooling, "run.fresh=true"))

    def test_pairs_by_two_and_four_features(self):
        self.pairs()
        self.assert_agree(*self.twins("pairs", "pairs", "sinusoid", "cls"))
        self.assert_agree(*self.twins("pairs", "pairs", "learned", "mean", "run.fresh=true", "model.pair_features=four"))

    def test_the_second_code(self):
        self.listops()
        self.assert_agree(*self.twins("listops", "classify", "learned", "mean", *SECOND_CODE))

    def test_another_formula_is_noticed(self):
        self.listops()
        ours, twin, split = self.twins("listops", "classify", "learned", "mean")
        for name, value in {"activation": "gelu", "epsilon": 1e-5, "divisor": 60.0, "first": 1, "H": 2}.items():
            with self.subTest(name):
                right = getattr(ours, name)
                setattr(ours, name, value)
                self.assertGreater(max(self.errors(ours, twin, *split).values()), 1e-5)
                setattr(ours, name, right)
        self.assert_agree(ours, twin, split)


if __name__ == "__main__":
    main()
