"""What the figures share: matplotlib without a screen, and pictures that are there whole or not at all."""
import os

import matplotlib
import matplotlib.ticker

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

__all__ = ["finish", "in_words", "plt", "save"]


def in_words(axis):
    """Large numbers as 500 k and 2 M, where matplotlib would write 1e6 at the end of the axis."""
    axis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=" "))


def finish(axes):
    """A light grid, no frame at the top and right, the legend."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def save(figure, prefix):
    """PREFIX.png and PREFIX.pdf; prints their names."""
    os.makedirs(os.path.dirname(prefix) or ".", exist_ok=True)
    for ending in ("png", "pdf"):
        partial = f"{prefix}.partial.{ending}"
        figure.savefig(partial, dpi=150)
        os.replace(partial, f"{prefix}.{ending}")
        print(f"{prefix}.{ending}")
    plt.close(figure)
