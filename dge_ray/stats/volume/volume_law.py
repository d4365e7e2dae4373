"""The volume at which a worst-case bound on the risk is least: an order of magnitude, and usually far too small.

Let the loss lie in [0, U], R(m) <= C m^-a + c be the learner's risk on m rows of the true law F, and R~(m) on m rows of
the generator's law F~. By coupling, |R~(m) - R(m)| <= U TV(F^m, F~^m), which is at most U m TV, and at most U sqrt(m) H
with the Hellinger distance H. The two bounds on R~(m) are least at

    m0 = (a C / (U TV))^(1 / (1 + a))        m0 = (2 a C / (U H))^(1 / (a + 1/2))

(derived here in the spirit of Shen, Liu and Shen 2023, without their constants). A classifier that tells rows of F from
rows of F~ with balanced accuracy A proves TV >= 2 A - 1, and H >= TV / sqrt 2. A larger TV makes m0 smaller, so what
comes out is the *most* that the bound can give. It bounds the worst learner, which would take every chance to be led
astray; real curves turn later, if at all.
"""

from dataclasses import dataclass

from dge_ray.errors import InputError


@dataclass(frozen=True)
class VolumeLaw:
    """`volume`: the larger of the two m0, so at most this. `distance`: TV at least this, from the lower end of the
    classifier's `accuracy`, given with its 95 % interval. `volume` and `distance` are None where the classifier cannot
    tell the two laws apart."""

    volume: float | None
    distance: float | None
    accuracy: float
    accuracy_interval: tuple[float, float]
    exponent: float
    scale: float  # C, in the loss that is bounded
    loss: str
    loss_bound: float  # U


def least_bound(scale: float, exponent: float, loss_bound: float, distance: float) -> float:
    """The larger m0 of the two bounds, in rows.

    Args:
        scale: C > 0, of a risk that falls as C m^-a.
        exponent: a > 0.
        loss_bound: U > 0, the largest loss of one row.
        distance: TV > 0 between the two laws of a row.

    >>> round(least_bound(1.0, 1.0, 1.0, 0.01), 1)  # (2 sqrt 2 / .01)^(2/3), over (1 / .01)^(1/2) = 10
    43.1
    """
    for name, value in (("scale", scale), ("exponent", exponent), ("loss_bound", loss_bound), ("distance", distance)):
        if not value > 0:
            raise InputError(name, repr(value), "a number above 0")
    linear = (exponent * scale / (loss_bound * distance)) ** (1 / (1 + exponent))
    root = (2 * exponent * scale / (loss_bound * distance / 2**0.5)) ** (1 / (exponent + 0.5))
    return max(linear, root)
