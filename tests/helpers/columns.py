"""Unit columns that stand for music and its performances."""

import numpy as np


def music(seed, frames, dims=16, held=4):
    """Unit columns that change every few frames, as harmonies do."""
    rng = np.random.default_rng(seed)
    values = np.repeat(rng.standard_normal((dims, frames // held + 1)), held, axis=1)[:, :frames]
    values = values + 0.2 * rng.standard_normal(values.shape)
    return (values / np.linalg.norm(values, axis=0)).astype(np.float32)


def played(parts, seed, noise=0.08):
    """Another performance: the parts one after the other, with noise."""
    whole = np.concatenate(parts, axis=1)
    noisy = whole + noise * np.random.default_rng(seed).standard_normal(whole.shape).astype(np.float32)
    return noisy / np.linalg.norm(noisy, axis=0)
