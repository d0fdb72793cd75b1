"""Hugging Face's MEGA, of the last version that has it in its place, with the FFT of float64 inputs in float64."""
import importlib.util
import os

import packages


def mega():
    """Its module; the test is skipped (77) where it cannot be had."""
    if importlib.util.find_spec("torch") is None:
        packages.skip("PyTorch is not installed (Debian: python3-torch)")
    packages.need(*packages.TRANSFORMERS)
    os.environ["USE_TF"] = os.environ["USE_FLAX"] = "0"
    from transformers.models.mega import modeling_mega
    return modeling_mega


def exact_convolution(module):
    """Theirs casts to float32, which costs the comparison 2e-7 and more."""
    import torch

    def convolution(inputs, kernel, length):
        n = 2 * length
        return torch.fft.irfft(torch.fft.rfft(inputs, n=n) * torch.fft.rfft(kernel, n=n), n=n)
    module.fft_convolution = convolution


def exact_angles(bias, positions):
    """Theirs are made in float32."""
    import torch
    half = bias.embed_dim // 2
    angles = torch.arange(positions).double()[:, None] * 10000.0 ** (-torch.arange(half).double() / half)
    bias.sine, bias.cosine = torch.sin(angles), torch.cos(angles)
