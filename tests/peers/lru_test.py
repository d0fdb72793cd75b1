"""Linear recurrent units against PyTorch in float64: the double-precision reference of the recurrence, states and
gradients, and the program's logits and gradients with those of the same blocks."""
import os
import sys
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import one_step  # noqa: E402
import packages  # noqa: E402
from programs import main  # noqa: E402
from reference import call  # noqa: E402

B, N, P = 3, 41, 5
LIMIT = 1e-12
INPUT = one_step.classifier("lru", """state_width = 10
pooling = "mean"
r_max = 0.98
{more}
""")


class Recurrence(unittest.TestCase):
    def setUp(self):
        one_step.torch_or_skip()

    def agrees(self, directions, lengths):
        import lru_twin
        import torch
        random = np.random.default_rng(3)
        r, angle = random.uniform(0.3, 0.98, P), random.uniform(0, 6.2, P)
        tensors = [np.log(-np.log(r)), np.log(angle), random.normal(size=P)]
        theirs = [torch.tensor(t, requires_grad=True) for t in tensors]
        real = np.arange(N)[None, :] < np.array(lengths)[:, None]
        u, dh = random.normal(size=(B, N, 2 * P)), random.normal(size=(B, N, directions * 2 * P))
        their_u = torch.tensor(u, requires_grad=True)
        states = lru_twin.recurrence(torch.complex(*their_u.chunk(2, -1)), torch.tensor(real), *theirs, directions)
        their_h = torch.cat([part for h in states for part in (h.real, h.imag)], -1)
        (their_h * torch.tensor(dh)).sum().backward()

        seen = np.zeros((B, (N + 31) // 32), np.uint32)
        for b, i in zip(*np.nonzero(real)):
            seen[b, i // 32] |= np.uint32(1 << (i % 32))
        sizes = np.array([B, N, P, directions])
        h, du, gradients = np.empty_like(dh), np.empty_like(u), [np.empty_like(t) for t in tensors]
        call("weft_diagonal_forward", sizes, h, u, seen, *tensors)
        call("weft_diagonal_backward", sizes, du, *gradients, dh, u, seen, *tensors)

        def close(mine, their, name):
            self.assertLess(np.abs(mine - their).max() / np.abs(their).max(), LIMIT, name)
        close(h, their_h.detach().numpy(), "h")
        close(du, their_u.grad.numpy(), "u")
        for name, mine, their in zip(("nu", "theta", "gain"), gradients, theirs):
            close(mine, their.grad.numpy(), name)

    def test_the_package_lru_pytorch_has_the_same_outputs_and_gradients(self):
        """lru-pytorch 0.1.3, which steps through a sequence: y = Re(C h) + D x with a whole matrix D, here 0."""
        packages.need("lru-pytorch==0.1.3")
        import torch
        torch.set_default_dtype(torch.float64)  # its states and outputs begin in the default type
        self.addCleanup(torch.set_default_dtype, torch.float32)
        from LRU_pytorch import LRU
        torch.manual_seed(4)
        width, out = 4, 3
        peer = LRU(width, out, P, rmin=0.2, rmax=0.98)
        torch.nn.init.zeros_(peer.D)
        random = np.random.default_rng(5)
        x, dy = random.normal(size=(B, N, width)), random.normal(size=(B, N, out))
        their_x = torch.tensor(x, requires_grad=True)
        their_y = peer(their_x)
        (their_y * torch.tensor(dy)).sum().backward()

        tensors = [t.detach().numpy() for t in (peer.nu_log, peer.theta_log, peer.gamma_log)]
        to_states, from_states = peer.B.detach().numpy(), peer.C.detach().numpy()
        everything = np.full((B, (N + 31) // 32), 0xffffffff, np.uint32)
        sizes = np.array([B, N, P, 1])
        u = x @ to_states.T
        u = np.concatenate([u.real, u.imag], -1)
        h = np.empty_like(u)
        call("weft_diagonal_forward", sizes, h, u, everything, *tensors)
        states = h[..., :P] + 1j * h[..., P:]
        self.assertLess(np.abs((states @ from_states.T).real - their_y.detach().numpy()).max(), 1e-12)

        dstates = dy @ from_states.conj()  # by real and imaginary parts of h
        du, gradients = np.empty_like(u), [np.empty_like(t) for t in tensors]
        call("weft_diagonal_backward", sizes, du, *gradients, np.concatenate([dstates.real, dstates.imag], -1), u, everything,
             *tensors)
        du = du[..., :P] + 1j * du[..., P:]
        pairs = [("x", (du @ to_states.conj()).real, their_x.grad),
                 ("B", np.einsum("bnp,bnd->pd", du, x), peer.B.grad),
                 ("C", np.einsum("bno,bnp->op", dy, states.conj()), peer.C.grad)]
        pairs += zip(("nu", "theta", "gain"), gradients, (peer.nu_log.grad, peer.theta_log.grad, peer.gamma_log.grad))
        for name, mine, their in pairs:
            their = their.numpy()
            self.assertLess(np.abs(mine - their).max() / np.abs(their).max(), LIMIT, name)

    def test_states_and_gradients_from_the_front(self):
        self.agrees(1, [N, 20, 32])

    def test_states_and_gradients_from_both_ends(self):
        self.agrees(2, [N, 20, 32])


class Model(one_step.Recurrent):
    text, twin, spoilt = INPUT, "lru_twin.py", "block.00.lru.theta"


if __name__ == "__main__":
    main()
