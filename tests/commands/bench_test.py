"""weft bench as a user meets it: figures with their floors, whole steps without data, and nothing else written."""
import importlib.util
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from programs import WEFT, ProgramTest, main, run

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers", "torch_bench.py")


class BenchTest(ProgramTest):
    def bench(self, *arguments, **how):
        out = f"{self.folder}/bench.json"
        done = run(["bench", *arguments, "--quick", "--json", out], **how)
        with open(out, encoding="utf-8") as file:
            return json.load(file), done

    def peer(self, *arguments):
        out = f"{self.folder}/peer.json"
        done = subprocess.run([sys.executable, "-B", PEER, "--weft", WEFT, "--quick", "--rounds", "1", "--steps", "1",
                               "--threads", "1", "--variants", "eager", "--precisions", "fp32", "--json", out, *arguments],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(out, encoding="utf-8") as file:
            return json.load(file), done

    def test_every_kernel_has_a_time_and_a_floor(self):
        bench, done = self.bench()
        machine, figures = bench["machine"], bench["figures"]
        self.assertEqual(machine["threads"], 1)
        for key in ("matrix_fp32", "matrix_bf16", "copy_bandwidth"):
            self.assertGreater(machine[key], 1e8)
        wanted = {"product forward", "product backward input", "product backward weight", "norm forward", "norm backward",
                  "activation forward", "activation backward", "residual and norm", "residual backward", "column sum",
                  "loss with gradient", "attention forward", "attention backward", "hashes", "sort by hash",
                  "mixture forward", "mixture backward rows", "mixture backward weights", "sinkhorn forward"}
        wanted |= {f"{name} {way}" for name in ("linear", "features", "average", "recurrence", "lstm")
                   for way in ("forward", "backward")}
        for precision in ("fp32", "bf16"):
            self.assertEqual(wanted - {f["operation"] for f in figures if f["precision"] == precision}, set())
        self.assertLessEqual({"optimiser", "weights to bf16", "gradient norm", "sum of two gradients"},
                             {f["operation"] for f in figures})
        for f in figures:
            self.assertTrue(0 < f["fastest_seconds"] <= f["seconds"], f)
            floor = max(f["operations"] / machine["matrix_" + f["precision"]], f["bytes"] / machine["copy_bandwidth"])
            self.assertAlmostEqual(f["floor_seconds"] / floor, 1, places=6)
            self.assertAlmostEqual(f["share"] * f["seconds"] / floor, 1, places=6)
            self.assertTrue(0 < f["density"] <= 1, f)
        self.assertIn("time grows as N^", done.stdout)

    def test_models_of_a_folder_stand_beside_the_transformer(self):
        inputs, out = f"{self.folder}/inputs", f"{self.folder}/arena.json"
        os.mkdir(inputs)
        base = ('[data]\ntask = "classify"\n[model]\nfamily = "arena"\nlayers = 1\nwidth = 16\nheads = 2\ncontext = 64\n'
                'vocabulary = 32\nclasses = 3\npositions = "sinusoid"\n[training]\nsteps = 1\nbatch = 4\n')
        for name, text in (("base", "nothing that can be read"), ("transformer", base + '[attention]\npattern = "dense"\n'),
                           ("local", base + '[attention]\npattern = "local"\nstride = 16\n'), ("wrong", base + "[attention]\nx = 1\n")):
            with open(f"{inputs}/{name}.toml", "w", encoding="ascii") as file:
                file.write(text)
        arguments = ["bench", inputs, "--arena", "--quick", "--lengths", "1024,64", "--batch", "2", "--json", out]
        done = run(arguments, status=1)
        self.assertIn("attention.x", done.stderr)
        with open(out, encoding="utf-8") as file:
            rows = json.load(file)["arena"]
        self.assertEqual([(r["model"], r["N"]) for r in rows],
                         [(m, n) for m in ("transformer", "local", "wrong") for n in (1024, 64)])
        for r in rows[:4]:
            self.assertGreater(r["seconds"], 0)
            self.assertGreater(r["peak_bytes"], 1e6)
        self.assertEqual([r["speed"] for r in rows[:2]], [1, 1])
        self.assertAlmostEqual(rows[2]["speed"], rows[0]["seconds"] / rows[2]["seconds"])
        self.assertAlmostEqual(rows[2]["published_speed"], 9.2 / 8.1)
        self.assertIsNone(rows[3]["published_speed"])  # no published figure at that length
        self.assertEqual([r["seconds"] for r in rows[4:]], [None, None])
        os.remove(f"{inputs}/wrong.toml")
        self.assertIn("N^", run([*arguments[:2], "local:attention.stride=8", *arguments[2:]]).stdout)
        self.assertIn("attention.stride", run([*arguments[:2], "transformer:attention.stride=8", *arguments[2:]], status=1).stderr)
        for wrong, told in ((["bench", "--arena"], "expected a folder"), (["bench", self.folder + "/none", "--arena"], "expected a folder"),
                            (["bench", inputs, "--arena", "--decode"], "--decode"), (["bench", inputs, "--batch", "3"], "--arena")):
            self.assertIn(told, run(wrong, status=2).stderr)

    def test_attention_s_work_is_that_of_its_tiles(self):
        bench, _ = self.bench("--only", "attention", "--lengths", "2048")
        self.assertEqual({f["N"] for f in bench["figures"]}, {2048})
        work = {(f["what"], f["N"], f["operation"]): f for f in bench["figures"] if f["precision"] == "fp32"}
        dense, fixed = (work[name, 2048, "attention forward"] for name in ("dense", "fixed l=128 c=32"))
        # Two products of 2 x 32 x 32 x 64 operations for each tile of a triangle of 64 x 64, on two heads.
        self.assertEqual(dense["operations"], 2 * 2 * (2 * 32 * 32 * 64) * (64 * 65 // 2))
        self.assertEqual(dense["density"], 1)
        self.assertLess(fixed["operations"], 0.5 * dense["operations"])
        self.assertAlmostEqual(work["dense", 2048, "attention backward"]["operations"] / dense["operations"], 2.5)

    def test_only_the_asked_part_runs(self):
        bench, _ = self.bench("--only", "passes")
        self.assertEqual({f["bare_ratio"] for f in bench["figures"] if "bare_ratio" in f}, set())
        self.assertFalse({f["operation"].split()[0] for f in bench["figures"]} & {"product", "attention"})

    def test_each_product_takes_turns_with_the_bare_one_of_its_shape(self):
        bench, done = self.bench("--only", "products")
        self.assertEqual({f["operation"].split()[0] for f in bench["figures"]}, {"product"})
        for f in bench["figures"]:
            self.assertGreater(f["bare_seconds"], 0)
        # In turns the machine's load is the same for both: the two ways to the ratio agree, but for single products that
        # a jump of the load fell on.
        apart = [f for f in bench["figures"] if not 0.2 < f["bare_ratio"] / (f["bare_seconds"] / f["seconds"]) < 5]
        self.assertLessEqual(len(apart), len(bench["figures"]) // 4, apart)
        # Width 256: nothing that is worth having makes a product of ours take many times what the library takes.
        ratios = sorted(f["bare_ratio"] for f in bench["figures"] if f["precision"] == "fp32")
        self.assertGreater(ratios[len(ratios) // 2], 0.3)
        self.assertIn("fp32: the bare product takes", done.stdout)
        self.assertIn("bf16: the bare product takes", done.stdout)

    def test_what_would_take_longer_than_the_budget_is_left_out_and_told(self):
        bench, done = self.bench("--only", "attention", "--lengths", "256,4096", "--budget", "0.02")
        kept = {(f["what"], f["N"]) for f in bench["figures"]}
        self.assertNotIn(("dense", 4096), kept)
        self.assertIn("dense, fp32, N = 4096: left out, two calls would take", done.stdout)
        self.assertIn("of the 20 ms that --budget allows", done.stdout)
        self.assertTrue(all(1 <= f["repeats"] <= 5 for f in bench["figures"]))
        self.assertIn("--budget", run(["bench", "--only", "attention", "--budget", "-1"], status=None).stderr)

    def test_steps_of_an_input_file_need_no_data(self):
        before = sorted(os.listdir(self.folder))
        bench, done = self.bench(self.input, "data.path=nowhere", "run.precision=bf16")
        step, = bench["steps"]
        self.assertEqual((step["ranks"], step["layers"], step["width"], step["N"], step["batch"], step["precision"]),
                         (1, 2, 32, 64, 4, "bf16"))
        self.assertTrue(0 < step["fastest_seconds"] <= step["seconds"] <= step["slowest_seconds"])
        self.assertAlmostEqual(step["tokens_per_second"] * step["seconds"], 4 * 64, places=3)
        shares = [step[key] for key in ("products_share", "attention_share", "rest_share")]
        self.assertTrue(all(0 < share < 1 for share in shares), shares)
        self.assertAlmostEqual(sum(shares), 1, places=9)
        self.assertGreater(step["operations"], 6 * 2 * 12 * 32 * 32 * 4 * 64)
        self.assertIn("matrix products", done.stdout)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted([*before, "bench.json"]))

    def test_two_ranks_share_the_micro_batches(self):
        bench, done = self.bench(self.input, ranks=2)
        self.assertEqual((bench["steps"][0]["ranks"], bench["steps"][0]["threads"]), (2, 1))
        self.assertIn("sent during the backward pass", done.stdout)

    def test_a_trace_shows_the_gradient_s_sum_beside_the_backward_pass_on_two_ranks(self):
        path = f"{self.folder}/trace.json"
        # Buckets small enough to need no answer from the other rank before they leave, whatever the transport.
        self.bench(self.input, "--trace", path, "model.layers=4", "model.width=64", "model.context=1024",
                   "parallel.bucket_mib=0.004", ranks=2)
        with open(path, encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
        self.assertEqual({e["args"]["name"].split(" on ")[0] for e in events if e["name"] == "process_name"},
                         {"rank 0", "rank 1"})
        early = 0
        for rank in range(2):
            spans = {}
            for e in events:
                if e["ph"] == "X" and e["pid"] == rank:
                    self.assertGreaterEqual(e["dur"], 0)
                    spans.setdefault(e["cat"], []).append((e["ts"], e["ts"] + e["dur"], e["args"]["number"]))
            step, = spans["step"]
            for kind, found in spans.items():
                self.assertTrue(all(step[0] <= a <= z <= step[1] for a, z, _ in found), kind)
            # Two of four micro-batches are this rank's; each passes the four layers there and back.
            self.assertEqual([number for _, _, number in spans["forward layer"]], 2 * [0, 1, 2, 3])
            self.assertEqual([number for _, _, number in spans["backward layer"]], 2 * [3, 2, 1, 0])
            self.assertEqual(len(spans["attention"]), 2 * 4 * 2)
            self.assertGreaterEqual(len(spans["product"]), 2 * 4 * 12)
            begin, end, _ = spans["backward"][-1]
            for kind in ("bucket out", "bucket sum", "bucket back"):
                self.assertEqual(sorted(number for _, _, number in spans[kind]), list(range(len(spans[kind]))))
            # Every bucket leaves within the last backward pass.
            self.assertGreater(len(spans["bucket out"]), 10)
            self.assertTrue(all(begin <= a <= end for a, _, _ in spans["bucket out"]))
            early += sum(z < end for _, z, _ in spans["bucket sum"])
            wait, = spans["wait"]
            self.assertGreaterEqual(wait[0], end)
            self.assertTrue(all(z <= wait[1] for _, z, _ in spans["bucket back"]))
            self.assertGreaterEqual(spans["optimiser"][0][0], wait[1])
        # The rank that is later, at least, finds buckets of the other and sums them before its own pass ends.
        self.assertGreater(early, 10)

    def test_mistakes_are_told(self):
        wrong = run(["bench", self.input, "model.widht=3"], status=2)
        self.assertIn("model.width", wrong.stderr)
        self.assertIn("leave out --decode", run(["bench", self.input, "--decode"], status=2).stderr)
        self.assertIn("weft bench INPUT.toml --trace", run(["bench", "--trace", "trace.json"], status=2).stderr)
        self.assertIn("leave out --only", run(["bench", self.input, "--only", "passes"], status=2).stderr)
        for option, value in (("--samples", "2"), ("--width", "64"), ("--precision", "bf16")):
            self.assertIn("--decode", run(["bench", option, value], status=2).stderr)
        many = run(["bench", self.input, "training.batch=1"], ranks=2, status=2)
        self.assertIn("at most 1 ranks", many.stderr)

    def test_the_pytorch_peer_takes_turns_with_weft(self):
        if importlib.util.find_spec("torch") is None:
            self.skipTest("PyTorch is not installed (Debian: python3-torch)")
        records, done = self.peer("--cases", "fixed_4096", "cifar10", "dense_512")
        self.assertEqual([r["case"] for r in records], ["fixed_4096", "cifar10", "dense_512"])
        for r in records:
            ours, theirs = r["seconds"]["weft"][0], r["seconds"]["torch eager"][0]
            self.assertAlmostEqual(r["ratio"] * ours / theirs, 1)
        self.assertNotIn("reached", done.stdout)  # a tiny model says nothing of the targets

    def test_a_peer_that_takes_longer_than_its_limit_is_ended_and_told(self):
        if importlib.util.find_spec("torch") is None:
            self.skipTest("PyTorch is not installed (Debian: python3-torch)")
        (record,), done = self.peer("--cases", "dense_512", "--limit", "0.05")
        self.assertEqual(record["missing"]["torch eager"], "did not end within 0.05 s")
        self.assertNotIn("torch eager", record["seconds"])
        self.assertIsNone(record["ratio"])
        self.assertIn("no PyTorch figure", done.stdout)


if __name__ == "__main__":
    main()
