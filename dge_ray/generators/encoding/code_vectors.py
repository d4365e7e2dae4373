"""Codes as unit vectors, which noise can be added to."""

import torch

MOST_ONE_HOT = 64  # codes; a column of more has random directions in this many dimensions


def code_vectors(size: int, column: int) -> torch.Tensor:
    """A column's unit vectors (size, width): part of the model's form, the same in every fit."""
    if size <= MOST_ONE_HOT:
        return torch.eye(size)
    draw = torch.randn(size, MOST_ONE_HOT, generator=torch.Generator().manual_seed(column))
    return draw / draw.norm(dim=1, keepdim=True)
